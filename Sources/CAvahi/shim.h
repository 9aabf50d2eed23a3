#pragma once
#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/timeval.h>
#include <avahi-common/watch.h>
#include <avahi-core/core.h>
#include <avahi-core/log.h>
#include <avahi-core/lookup.h>
#include <avahi-core/publish.h>
#include <dlfcn.h>
#include <stddef.h>

// libavahi-core and libavahi-client both export avahi_entry_group_free, with different meanings,
// and each calls its own through the dynamic linker: in one program the first one linked gets
// both libraries' calls, and crashes. So libavahi-core is not linked but loaded, with its own
// symbols ahead of everybody's (RTLD_DEEPBIND, which <dlfcn.h> shows to GNU sources only).
#define MESHD_RTLD_DEEPBIND 0x8

#define MESHD_AVAHI_CORE(X) \
    X(server_config_init) X(server_config_free) X(server_new) X(server_free) \
    X(server_errno) X(server_get_state) X(server_get_host_name) X(server_set_host_name) \
    X(server_add_address) X(server_add_service_strlst) \
    X(s_entry_group_new) X(s_entry_group_commit) X(s_entry_group_reset) \
    X(s_service_browser_new) X(s_service_browser_free) \
    X(s_service_resolver_new) X(s_service_resolver_free) X(set_log_function)

// The functions of libavahi-core that are used; all set once loading has succeeded.
typedef struct {
#define X(name) __typeof__(avahi_##name) *_Nonnull name;
    MESHD_AVAHI_CORE(X)
#undef X
} meshd_avahi_core;

// Loads libavahi-core: 0, or -1 when it or one of its functions is missing. It is also missing under
// a sanitizer, which would end the process for RTLD_DEEPBIND.
static inline int meshd_avahi_core_load(meshd_avahi_core *_Nonnull core) {
    if (dlsym(NULL, "__asan_init") != NULL || dlsym(NULL, "__tsan_init") != NULL) return -1;
    void *library =
        dlopen("libavahi-core.so.7", RTLD_NOW | RTLD_LOCAL | MESHD_RTLD_DEEPBIND);
    if (library == NULL) return -1;
#define X(name) \
    void *name = dlsym(library, "avahi_" #name); \
    if (name == NULL) return -1; \
    core->name = (__typeof__(avahi_##name) *)name;
    MESHD_AVAHI_CORE(X)
#undef X
    return 0;
}
