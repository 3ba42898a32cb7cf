/* emu.cpp - runs grids, blocks and CUDA threads.
 *
 * A Worker is one thread of the system that runs blocks, one at a time.  Within a block one CUDA thread runs until it
 * returns or waits; then the next is chosen (CE_SCHED).  Threads that never wait follow one another on one fiber in
 * a plain loop, so they cost a call each; a fiber is taken up only when one is left waiting.
 *
 *     CE_SCHED=asc      resumed threads first, new ones in ascending order (also the order of blocks); the default
 *     CE_SCHED=desc     new threads first, in descending order
 *     CE_SCHED=rand     any, by CE_SEED=n (default 1)
 *     CE_BLOCKRACES=1   with ThreadSanitizer: see races between blocks on global memory (shared memory is not watched)
 *
 * For ThreadSanitizer every CUDA thread of a block has a fiber of its own, hence is a thread of its own, and nothing
 * but start and end of the kernel, __syncthreads, __syncwarp and fences orders memory.  Shuffles and votes do not. */
#include "cuda_emu.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#endif
#ifdef EMU_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateBenignRaceSized(const char *file, int line, const volatile void *p, size_t size,
                                        const char *why);
#endif
#if defined(EMU_ASAN) || defined(EMU_TSAN)
#define EMU_SERIAL 1
#endif

__thread EmuThread *emu_thread;
__thread EmuBlock *emu_block;

namespace {

enum State { NEW, READY, RUNNING, AT_BARRIER, AT_WARP, RETURNED };
enum Schedule { ASCENDING, DESCENDING, RANDOM };

const int MAX_THREADS = 1024;            /* of a block */
const size_t SHARED_LIMIT = 227 << 10;   /* dynamic shared memory of a block, bytes */
const int SETS = 3;                      /* of fibers, when races between blocks are looked for */

struct Thread : EmuThread {
    int linear;
    State state;
    const char *file;         /* where it waits */
    int line;
    Fiber *fiber;
    EmuWarpOp op;             /* the warp operation it waits for */
    unsigned mask;
    int argument, width;
    uint64_t value, result;
};

struct Warp {
    unsigned waiting;         /* lanes at a warp operation */
    unsigned generation;      /* of __syncwarp */
    char sync[SETS][2];       /* addresses that stand for synchronisation, used in turn */
};

struct Grid {
    const EmuLaunch *launch;
    void (*call)(const void *);
    const void *arguments;
    Schedule schedule;
    uint64_t seed;
};

/* No containers here and in the Worker: theirs would be instrumented accesses, and threads take turns at them. */
struct Block : EmuBlock {
    const Grid *grid_run;
    int threads, returned, waiting, fresh;   /* fresh: how many have been started */
    int first, last;                         /* of the ring `ready`, which uses threads + 1 entries */
    Thread thread[MAX_THREADS];
    Warp warp[MAX_THREADS / 32];
    int ready[MAX_THREADS + 1];
    int order[MAX_THREADS];                  /* of new threads, random schedule only */
    uint64_t random;
    int votes, vote_result, generation;      /* of __syncthreads */
    char sync[SETS][2], start, end;          /* addresses that stand for synchronisation */
};

struct Worker {
    Block block;
    Fiber *home, *running;
    Thread *begin;                           /* what a fiber that is switched to from outside begins with */
    Fiber *idle[MAX_THREADS];
    int n_idle;
    Fiber *own[SETS][MAX_THREADS];           /* ThreadSanitizer: the fiber of each thread */
    int set;                                 /* of fibers and sync addresses, for the running block; blocks of two
                                              * sets know nothing of each other, so that races between them show */
    bool blockraces;

    Worker();
    ~Worker();
    Worker(const Worker &) = delete;
};
__thread Worker *worker;

/* ---------------------------------------------------------------- memory of a block */

/* Static shared variables of all loaded objects: the sections .noinit*. */
struct Range {
    unsigned char *start;
    size_t size;
};
#ifdef EMU_SERIAL
int find_shared(struct dl_phdr_info *object, size_t, void *list)
{
    const char *path = object->dlpi_name && *object->dlpi_name ? object->dlpi_name : "/proc/self/exe";
    FILE *f = fopen(path, "rb");
    ElfW(Ehdr) head;
    if (f && fread(&head, sizeof head, 1, f) == 1 && !memcmp(head.e_ident, ELFMAG, SELFMAG) && head.e_shnum) {
        std::vector<ElfW(Shdr)> sections(head.e_shnum);
        fseek(f, (long)head.e_shoff, SEEK_SET);
        if (fread(sections.data(), sizeof sections[0], sections.size(), f) == sections.size()) {
            const ElfW(Shdr) &names = sections[head.e_shstrndx];
            std::vector<char> name(names.sh_size + 1);
            fseek(f, (long)names.sh_offset, SEEK_SET);
            if (fread(name.data(), 1, names.sh_size, f) == names.sh_size)
                for (const ElfW(Shdr) &s : sections)
                    if (s.sh_name < names.sh_size && !strncmp(&name[s.sh_name], ".noinit", 7) && s.sh_addr)
                        ((std::vector<Range> *)list)->push_back(
                            {(unsigned char *)(object->dlpi_addr + s.sh_addr), s.sh_size});
        }
    }
    if (f)
        fclose(f);
    return 0;
}
#endif
const std::vector<Range> &static_shared()
{
    static const std::vector<Range> ranges = [] {
        std::vector<Range> list;
#ifdef EMU_SERIAL
        dl_iterate_phdr(find_shared, &list);
#endif
        return list;
    }();
    return ranges;
}

/* memset that no sanitizer watches: it crosses redzones on purpose. */
EMU_QUIET void fill(unsigned char *p, size_t n)
{
#ifdef __x86_64__
    __asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(0xFF) : "memory");
#else
    for (size_t i = 0; i < n; i++)
        ((volatile unsigned char *)p)[i] = 0xFF;
#endif
}

/* ---------------------------------------------------------------- the end of a kernel with a mistake */
const char *file_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "?";
}

[[noreturn]] void stop(const char *what)
{
    static const char *const words[] = {"not started", "ready", "running", "at __syncthreads", "at a warp operation",
                                        "returned"};
    const Block &b = worker->block;
    fflush(stdout);
    fprintf(stderr, "cudaemu: %s\n  kernel %s, block (%u, %u, %u)\n", what, b.grid_run->launch->name, b.index.x,
            b.index.y, b.index.z);
    int lines = 0;
    for (int i = 0, from = 0; i < b.threads && lines < 12; i = from) {
        const Thread &t = b.thread[i];
        for (from = i + 1; from < b.threads && b.thread[from].state == t.state && b.thread[from].line == t.line &&
                           b.thread[from].mask == t.mask; from++)
            ;
        fprintf(stderr, "  threads %d..%d %s", i, from - 1, words[t.state]);
        if (t.state != NEW && t.state != RETURNED && t.file)
            fprintf(stderr, ", %s:%d", file_name(t.file), t.line);
        if (t.state == AT_WARP)
            fprintf(stderr, ", mask %08x", t.mask);
        fprintf(stderr, "\n");
        lines++;
    }
    abort();
}

/* ---------------------------------------------------------------- choosing the next thread */
EMU_QUIET uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}
EMU_QUIET uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return (x ^ x >> 31) | 1;
}

EMU_QUIET void exchange(int *list, int i, int k)
{
    int t = list[i];
    list[i] = list[k];
    list[k] = t;
}

EMU_QUIET void push_ready(Block *b, Thread *t)
{
    t->state = READY;
    b->ready[b->last] = t->linear;
    b->last = b->last == b->threads ? 0 : b->last + 1;
}

EMU_QUIET int pop_ready(Block *b, int count)
{
    if (b->grid_run->schedule == RANDOM) {
        int k = b->first + (int)(next_random(&b->random) % (unsigned)count);
        exchange(b->ready, k > b->threads ? k - b->threads - 1 : k, b->first);
    }
    int i = b->ready[b->first];
    b->first = b->first == b->threads ? 0 : b->first + 1;
    return i;
}

EMU_QUIET Thread *start_thread(Block *b)
{
    int k = b->fresh++, i = k;
    if (b->grid_run->schedule == DESCENDING)
        i = b->threads - 1 - k;
    if (b->grid_run->schedule == RANDOM) {
        exchange(b->order, k, k + (int)(next_random(&b->random) % (unsigned)(b->threads - k)));
        i = b->order[k];
    }
    Thread *t = &b->thread[i];
    unsigned u = (unsigned)i, x = b->size.x, y = b->size.y;
    if (u < x)
        t->index = uint3{u, 0, 0};
    else
        t->index = uint3{u % x, u / x % y, u / x / y};
    t->fiber = NULL;
    t->file = NULL;
    t->line = 0;
    t->mask = 0;
    return t;
}

/* Lets everybody go who waits at __syncthreads; they must all wait at the same one. */
EMU_QUIET void open_barrier(Block *b)
{
    Thread *all = b->thread, *one = &all[0];
    for (int i = 0; i < b->threads; i++) {
        if (all[i].line != one->line || all[i].file != one->file)
            stop("threads of one block wait at different __syncthreads");
        push_ready(b, &all[i]);
    }
    b->waiting = 0;
    b->generation++;
    b->vote_result = b->votes;
    b->votes = 0;
}

/* The thread to run now, NULL when all have returned. */
EMU_QUIET Thread *next_thread(Block *b)
{
    for (;;) {
        int ready = b->last - b->first, fresh = b->threads - b->fresh;
        ready += ready < 0 ? b->threads + 1 : 0;
        if (ready || fresh) {
            bool resume = b->grid_run->schedule == ASCENDING    ? ready > 0
                          : b->grid_run->schedule == DESCENDING ? fresh == 0
                          : next_random(&b->random) % (unsigned)(ready + fresh) < (unsigned)ready;
            return resume ? &b->thread[pop_ready(b, ready)] : start_thread(b);
        }
        if (b->returned == b->threads)
            return NULL;
        if (b->waiting == b->threads)
            open_barrier(b);
        else if (b->waiting + b->returned == b->threads)
            stop("some threads wait at __syncthreads and the others have returned");
        else
            stop("a warp operation waits for lanes that never come");
    }
}

/* ---------------------------------------------------------------- running threads on fibers */
EMU_QUIET void run_threads(void);

EMU_QUIET Fiber *take_fiber(Worker *w, Thread *t)
{
#ifdef EMU_TSAN
    Fiber **own = &w->own[w->set][t->linear];
    if (!*own)
        *own = fiber_create(run_threads);
    return *own;
#else
    (void)t;
    return w->n_idle ? w->idle[--w->n_idle] : fiber_create(run_threads);
#endif
}

/* Leaves the running fiber for `t`, or for the worker's own stack when t is NULL. */
EMU_QUIET void switch_to(Worker *w, Thread *t)
{
    Fiber *from = w->running, *to = w->home;
    if (t) {
        if (!t->fiber) {
            t->fiber = take_fiber(w, t);
            w->begin = t;
        }
        to = t->fiber;
        t->state = RUNNING;
    }
    emu_thread = t;
    w->running = to;
    if (to != from)
        fiber_switch(from, to);
}

/* The body of every fiber: runs w->begin, then new threads as long as the schedule offers them, then gives way; is
 * switched to again when there is a new thread to begin. */
EMU_QUIET void run_threads(void)
{
    Worker *w = worker;
    Block *b = &w->block;
    for (;;) {
        Thread *t = w->begin;
        Fiber *self = w->running;
        for (;;) {
            void (*call)(const void *) = b->grid_run->call;
#ifdef EMU_TSAN
            __tsan_acquire(&b->start);
#endif
            call(b->grid_run->arguments);
#ifdef EMU_TSAN
            __tsan_release(&b->end);
#endif
            t->state = RETURNED;
            b->returned++;
            t = next_thread(b);
#ifdef EMU_TSAN
            break;
#else
            if (!t || t->fiber)
                break;
            t->fiber = self;
            t->state = RUNNING;
            emu_thread = t;
#endif
        }
#ifdef EMU_TSAN
        (void)self;
#else
        w->idle[w->n_idle++] = self;
#endif
        switch_to(w, t);
    }
}

/* Leaves the running thread waiting until somebody makes it ready. */
EMU_QUIET void wait_as(State state, Thread *t)
{
    Worker *w = worker;
    t->state = state;
    switch_to(w, next_thread(&w->block));
}

/* ---------------------------------------------------------------- blocks and grids */
EMU_QUIET void run_block(Worker *w, const Grid &grid, uint64_t number)
{
    const EmuLaunch &l = *grid.launch;
    Block *b = &w->block;
    b->index = uint3{(unsigned)(number % l.grid.x), (unsigned)(number / l.grid.x % l.grid.y),
                     (unsigned)(number / l.grid.x / l.grid.y)};
    b->size = l.block;
    b->grid = l.grid;
    b->grid_run = &grid;
    b->random = mixed(grid.seed + number * 0x9e3779b97f4a7c15ull);
    b->returned = b->waiting = b->fresh = b->first = b->last = b->votes = b->vote_result = b->generation = 0;
    int n = (int)(l.block.x * l.block.y * l.block.z);
    b->threads = n;
    for (int i = 0; i < n; i++) {
        b->thread[i].linear = i;
        b->thread[i].state = NEW;
        b->order[i] = i;
    }
    memset(b->warp, 0, (n + 31) / 32 * sizeof(Warp));

    fill(b->shared, l.shared);
#ifdef EMU_ASAN
    ASAN_UNPOISON_MEMORY_REGION(b->shared, l.shared);
    ASAN_POISON_MEMORY_REGION(b->shared + l.shared, SHARED_LIMIT + 1024 - l.shared);
#endif
    for (const Range &r : static_shared())
        fill(r.start, r.size);
#ifdef EMU_TSAN
    if (w->blockraces)
        w->set = (int)(next_random(&b->random) % SETS);
    else
        __tsan_release(&b->start);
#endif
    emu_block = b;
    w->running = w->home;
    switch_to(w, next_thread(b));
    emu_block = NULL;
#ifdef EMU_TSAN
    if (!w->blockraces)
        __tsan_acquire(&b->end);
#endif
}

Worker::Worker() : block(), begin(NULL), idle(), n_idle(0), own(), set(0)
{
    home = running = fiber_adopt_thread();
    const char *races = getenv("CE_BLOCKRACES");
    blockraces = races && *races == '1';
    void *shared;
    if (posix_memalign(&shared, 128, SHARED_LIMIT + 1024)) {
        perror("cudaemu: shared memory");
        abort();
    }
    block.shared = (unsigned char *)shared;
#ifdef EMU_TSAN
    if (blockraces) {   /* every block uses the same bytes again */
        AnnotateBenignRaceSized(__FILE__, __LINE__, shared, SHARED_LIMIT + 1024, "dynamic shared memory");
        for (const Range &r : static_shared())
            AnnotateBenignRaceSized(__FILE__, __LINE__, r.start, r.size, "static shared memory");
    }
#endif
}

Worker::~Worker()
{
    for (int i = 0; i < n_idle; i++)
        fiber_destroy(idle[i]);
    for (Fiber **f = own[0]; f < own[0] + SETS * MAX_THREADS; f++)
        if (*f)
            fiber_destroy(*f);
    fiber_destroy(home);
    worker = NULL;
#ifdef EMU_ASAN
    ASAN_UNPOISON_MEMORY_REGION(block.shared, SHARED_LIMIT + 1024);
#endif
    free(block.shared);
}

Worker *this_worker()
{
    static thread_local std::unique_ptr<Worker> owner;
    if (!worker) {
        owner = std::make_unique<Worker>();
        worker = owner.get();
    }
    return worker;
}

Schedule schedule_from_environment()
{
    const char *name = getenv("CE_SCHED");
    if (!name || !*name || !strcmp(name, "asc"))
        return ASCENDING;
    if (!strcmp(name, "desc"))
        return DESCENDING;
    if (!strcmp(name, "rand"))
        return RANDOM;
    fprintf(stderr, "cudaemu: CE_SCHED=%s: asc, desc or rand\n", name);
    abort();
}

}   // namespace

/* Small grids stay on one thread: waking the others costs more than it saves. */
void emu_run(const EmuLaunch &launch, void (*call)(const void *), const void *arguments)
{
    static std::atomic<uint64_t> launches;
    const char *seed = getenv("CE_SEED");
    Grid grid = {&launch, call, arguments, schedule_from_environment(), 0};
    grid.seed = (seed ? strtoull(seed, NULL, 10) : 1) * 0x100000001b3ull + ++launches;
    uint64_t blocks = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;

    std::vector<uint64_t> order;
    if (grid.schedule == RANDOM) {
        uint64_t random = mixed(grid.seed);
        order.resize(blocks);
        std::iota(order.begin(), order.end(), 0);
        for (uint64_t i = blocks; i > 1; i--)
            std::swap(order[i - 1], order[next_random(&random) % i]);
    }
#if !defined(EMU_SERIAL) && defined(_OPENMP)
    uint64_t work = blocks * launch.block.x * launch.block.y * launch.block.z;
    int chunk = (int)std::clamp<uint64_t>(blocks / 64, 1, 64);
#pragma omp parallel if (blocks > 1 && work >= 4096)
#endif
    {
        Worker *w = this_worker();
#ifdef EMU_TSAN
        if (w->blockraces)
            __tsan_release(&w->block.start);
#endif
#if !defined(EMU_SERIAL) && defined(_OPENMP)
#pragma omp for schedule(dynamic, chunk)
#endif
        for (uint64_t k = 0; k < blocks; k++)
            run_block(w, grid, grid.schedule == RANDOM ? order[k] : grid.schedule == DESCENDING ? blocks - 1 - k : k);
#ifdef EMU_TSAN
        if (w->blockraces)
            __tsan_acquire(&w->block.end);
#endif
    }
}

/* ---------------------------------------------------------------- what kernels call */
EMU_QUIET int emu_syncthreads(int vote, const char *file, int line)
{
    Block *b = (Block *)emu_block;
    Thread *t = (Thread *)emu_thread;
    t->file = file;
    t->line = line;
#ifdef EMU_TSAN
    /* Two addresses in turn, or a thread could learn from one that is at the next barrier already. */
    char *sync = &b->sync[worker->set][b->generation & 1];
    __tsan_release(sync);
#endif
    b->votes += vote;
    b->waiting++;
    wait_as(AT_BARRIER, t);
#ifdef EMU_TSAN
    __tsan_acquire(sync);
#endif
    return b->vote_result;
}

void emu_fence(void)
{
#ifdef EMU_TSAN
    static char all;
    __tsan_release(&all);
    __tsan_acquire(&all);
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

namespace {

/* The lane whose value `lane` gets, CUDA's rules: outside of its segment a thread keeps its own value. */
EMU_QUIET int source_lane(const Thread &t, int lane)
{
    int begin = lane & ~(t.width - 1), end = begin + t.width, from = lane;
    switch (t.op) {
    case EMU_SHUFFLE:      from = begin + (t.argument & (t.width - 1)); break;
    case EMU_SHUFFLE_UP:   from = lane - t.argument; break;
    case EMU_SHUFFLE_DOWN: from = lane + t.argument; break;
    case EMU_SHUFFLE_XOR:  from = lane ^ t.argument; break;
    default: break;
    }
    /* For xor, CUDA lets a thread read from earlier segments, not from later ones. */
    bool outside = from >= end || from < 0 || (from < begin && t.op != EMU_SHUFFLE_XOR);
    return outside ? lane : from;
}

/* All lanes of the mask are here: works out everybody's result and lets the others go. */
EMU_QUIET void finish_warp(Block *b, Warp *warp, Thread *lanes, unsigned members, Thread *self)
{
    uint64_t ballot = 0;
    for (unsigned m = members; m; m &= m - 1) {
        int i = __builtin_ctz(m);
        if (lanes[i].op != self->op || lanes[i].line != self->line || lanes[i].file != self->file) {
            self->state = AT_WARP;
            stop("lanes of one mask are at different warp operations");
        }
        ballot |= (uint64_t)(lanes[i].value != 0) << i;
    }
    for (unsigned m = members; m; m &= m - 1) {
        int i = __builtin_ctz(m), from = source_lane(lanes[i], i);
        if (self->op == EMU_BALLOT)
            lanes[i].result = ballot;
        else   /* what a lane outside the mask would give is undefined: all bits set, which is NaN */
            lanes[i].result = members >> from & 1 ? lanes[from].value : ~0ull;
    }
    warp->waiting &= ~members;
    for (unsigned m = members; m; m &= m - 1)
        if (&lanes[__builtin_ctz(m)] != self)
            push_ready(b, &lanes[__builtin_ctz(m)]);
}

}   // namespace

EMU_QUIET uint64_t emu_warp(EmuWarpOp op, unsigned mask, uint64_t value, int argument, int width, const char *file,
                            int line)
{
    Block *b = (Block *)emu_block;
    Thread *t = (Thread *)emu_thread;
    int lane = t->linear & 31, base = t->linear & ~31, present = b->threads - base;
    Thread *lanes = &b->thread[base];
    Warp *warp = &b->warp[base >> 5];
    /* A last warp that is not full may name lanes that do not exist, as the customary full mask does. */
    unsigned members = present >= 32 ? mask : mask & ((1u << present) - 1);
    t->op = op;
    t->mask = mask;
    t->value = value;
    t->argument = argument;
    t->width = width;
    t->file = file;
    t->line = line;
    if (!(mask >> lane & 1)) {
        t->state = AT_WARP;
        stop("a lane that is not in the mask takes part in a warp operation");
    }
#ifdef EMU_TSAN
    char *sync = &warp->sync[worker->set][warp->generation & 1];
    if (op == EMU_SYNCWARP)
        __tsan_release(sync);
#endif
    warp->waiting |= 1u << lane;
    bool complete = (warp->waiting & members) == members;
    for (unsigned m = members; complete && m; m &= m - 1)
        complete = lanes[__builtin_ctz(m)].mask == mask;   /* else a lane waits elsewhere, and will come here later */
    if (complete) {
        if (op == EMU_SYNCWARP && members == (present >= 32 ? ~0u : (1u << present) - 1))
            warp->generation++;
        finish_warp(b, warp, lanes, members, t);
    } else {
        wait_as(AT_WARP, t);
    }
#ifdef EMU_TSAN
    if (op == EMU_SYNCWARP)
        __tsan_acquire(sync);
#endif
    return t->result;
}
