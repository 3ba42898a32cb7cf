/* fiber.cpp - see fiber.h */
#include "fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(__x86_64__) && !defined(EMU_UCONTEXT)
#define EMU_UCONTEXT 1
#endif
#ifdef EMU_UCONTEXT
#include <ucontext.h>
#endif
#ifdef EMU_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EMU_TSAN
#include <sanitizer/tsan_interface.h>
#endif

struct Fiber {
#ifdef EMU_UCONTEXT
    ucontext_t context;
#else
    void *stack_pointer;
#endif
    char *mapping;            /* guard page, then the stack; NULL for a thread's own stack */
    size_t mapped;
    const void *bottom;       /* what AddressSanitizer wants to know of the stack */
    size_t size;
    void *fake_stack;         /* AddressSanitizer's, while the fiber is not running */
    void *tsan;
    void (*entry)(void);
};

/* The last switch of this thread: the new fiber has no arguments to learn it from. */
static __thread Fiber *switched_from, *switched_to;

#ifndef EMU_UCONTEXT
/* void fiber_swap_stacks(void **save, void *load): the System V callee-saved registers and the stack pointer.  The
 * floating-point control words are not switched: no kernel changes them. */
extern "C" void fiber_swap_stacks(void **save, void *load);
__asm__(".text\n"
        ".globl fiber_swap_stacks\n"
        ".hidden fiber_swap_stacks\n"
        ".type fiber_swap_stacks, @function\n"
        "fiber_swap_stacks:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size fiber_swap_stacks, . - fiber_swap_stacks\n");
#endif

/* Tells AddressSanitizer that `self` runs now, and learns where the stack lies that it came from. */
EMU_QUIET static void arrive(Fiber *self)
{
#ifdef EMU_ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(self->fake_stack, &bottom, &size);
    if (!switched_from->bottom) {
        switched_from->bottom = bottom;
        switched_from->size = size;
    }
#else
    (void)self;
#endif
}

EMU_QUIET __attribute__((noinline)) void fiber_switch(Fiber *from, Fiber *to)
{
    switched_from = from;
    switched_to = to;
#ifdef EMU_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
#ifdef EMU_TSAN
    __tsan_switch_to_fiber(to->tsan, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef EMU_UCONTEXT
    swapcontext(&from->context, &to->context);
#else
    fiber_swap_stacks(&from->stack_pointer, to->stack_pointer);
#endif
    arrive(from);
}

EMU_QUIET static void start(void)
{
    Fiber *self = switched_to;
    arrive(self);
    self->entry();
    abort();
}

EMU_QUIET Fiber *fiber_adopt_thread(void)
{
    Fiber *f = (Fiber *)calloc(1, sizeof *f);
    if (!f) {
        perror("cudaemu: memory for a fiber");
        abort();
    }
#ifdef EMU_TSAN
    f->tsan = __tsan_get_current_fiber();
#endif
    return f;
}

EMU_QUIET Fiber *fiber_create(void (*entry)(void))
{
#if defined(EMU_ASAN) || defined(EMU_TSAN)
    size_t size = 256 << 10;   /* instrumented frames are larger */
#else
    size_t size = 128 << 10;
#endif
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    Fiber *f = (Fiber *)calloc(1, sizeof *f);
    void *m = mmap(NULL, guard + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!f || m == MAP_FAILED || mprotect(m, guard, PROT_NONE)) {
        perror("cudaemu: memory for a fiber");
        abort();
    }
    f->mapping = (char *)m;
    f->mapped = guard + size;
    f->bottom = f->mapping + guard;
    f->size = size;
    f->entry = entry;
#ifdef EMU_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
#ifdef EMU_UCONTEXT
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->mapping + guard;
    f->context.uc_stack.ss_size = size;
    f->context.uc_link = NULL;
    makecontext(&f->context, start, 0);
#else
    /* As if start() had been called from a frame at the top: on entry the stack pointer is 8 below a multiple of 16. */
    void **top = (void **)(f->mapping + f->mapped);
    *--top = NULL;
    *--top = (void *)start;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    f->stack_pointer = top;
#endif
    return f;
}

EMU_QUIET void fiber_destroy(Fiber *f)
{
    if (f->mapping) {
#ifdef EMU_TSAN
        __tsan_destroy_fiber(f->tsan);
#endif
        munmap(f->mapping, f->mapped);
    }
    free(f);
}
