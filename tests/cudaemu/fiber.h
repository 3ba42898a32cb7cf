/* fiber.h - stacks to switch between: one CUDA thread waits while another runs, all on one thread of the system.
 *
 * x86-64 switches by hand (about 3 ns); other machines, and -DEMU_UCONTEXT, use swapcontext (about 100 ns, since it
 * saves the signal mask in the kernel).  AddressSanitizer is told of every switch; ThreadSanitizer sees each fiber
 * as a thread of its own, and switches do not count as synchronisation. */
#ifndef GUISE_EMU_FIBER_H
#define GUISE_EMU_FIBER_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define EMU_TSAN 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define EMU_TSAN 1
#endif
#endif

/* For functions of the emulator itself, whose memory is nobody's race and which copy foreign stacks and redzones. */
#define EMU_QUIET __attribute__((no_sanitize("thread"), no_sanitize("address"), no_sanitize("undefined")))

struct Fiber;

/* The fiber that stands for the calling thread's own stack. */
Fiber *fiber_adopt_thread(void);
/* A fiber that will run `entry`, which must never return.  Ends the program when memory is gone. */
Fiber *fiber_create(void (*entry)(void));
/* Leaves `from`, which must be running, for `to`; returns when somebody switches back. */
void fiber_switch(Fiber *from, Fiber *to);
/* `f` must not be running. */
void fiber_destroy(Fiber *f);

#endif
