// Tells thread sanitizer of Swift's Mutex. Its fast path is compiled into who uses it, and the
// sanitizer sees it; a thread that has to wait, or wakes another, does so in libswiftSynchronization,
// which comes without instrumentation: all that a contended lock protects would look like a race.
// Preloaded by tools/test-sanitized.sh, this stands before the two functions of that library and
// says what they do: to lock acquires what was released, to unlock releases.
//
// Swift passes self, the address of the lock, in r13, which a callee preserves.

#define _GNU_SOURCE
#include <dlfcn.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

__attribute__((visibility("hidden"))) void *meshd_lock, *meshd_unlock;
__attribute__((visibility("hidden"))) void *meshd_acquire, *meshd_release;

static void ignore(void *address) { (void)address; }

// Programs without the sanitizer, or without the library, are left alone.
__attribute__((constructor)) static void find(void) {
    meshd_lock = dlsym(RTLD_NEXT, LOCK);
    meshd_unlock = dlsym(RTLD_NEXT, UNLOCK);
    meshd_acquire = dlsym(RTLD_DEFAULT, "__tsan_acquire");
    meshd_release = dlsym(RTLD_DEFAULT, "__tsan_release");
    if (!meshd_acquire) meshd_acquire = (void *)ignore;
    if (!meshd_release) meshd_release = (void *)ignore;
}

__asm__(
    ".text\n"
    ".globl \"" LOCK "\"\n"
    ".type \"" LOCK "\", @function\n"
    "\"" LOCK "\":\n"
    "    pushq %r13\n"
    "    callq *meshd_lock(%rip)\n"
    "    movq (%rsp), %rdi\n"
    "    callq *meshd_acquire(%rip)\n"
    "    popq %r13\n"
    "    retq\n"
    ".globl \"" UNLOCK "\"\n"
    ".type \"" UNLOCK "\", @function\n"
    "\"" UNLOCK "\":\n"
    "    pushq %r13\n"
    "    movq %r13, %rdi\n"
    "    callq *meshd_release(%rip)\n"
    "    movq (%rsp), %r13\n"
    "    callq *meshd_unlock(%rip)\n"
    "    popq %r13\n"
    "    retq\n");
