#pragma once
#include <sys/prctl.h>
#include <uv.h>

// Names the calling thread for `ps -L` and debuggers. prctl is variadic, which Swift cannot call.
static inline void meshd_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

#include <sys/eventfd.h>

/// A non-blocking event descriptor; -1 with errno when the system has none left.
static inline int meshd_event_descriptor(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
