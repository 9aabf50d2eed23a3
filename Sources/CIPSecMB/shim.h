// AES-128-GCM of Intel's IPsec library, with functions in the place of macros, which Swift does not
// see, and memory aligned as its assembler wants it.
#pragma once
#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

/// One key, with what of a message was worked on.
typedef struct {
    struct gcm_key_data key;
    struct gcm_context_data context;
    IMB_MGR *manager;
} meshd_gcm;

/// The functions for this processor; NULL without memory, and when the library's own test fails.
static inline IMB_MGR *meshd_gcm_manager(void) {
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (manager == NULL) return NULL;
    init_mb_mgr_auto(manager, NULL);
    if (imb_get_errno(manager) == 0 && manager->gcm128_pre != NULL) return manager;
    free_mb_mgr(manager);
    return NULL;
}

/// A key of 16 bytes, expanded; NULL without memory.
static inline meshd_gcm *meshd_gcm_new(IMB_MGR *manager, const unsigned char *key) {
    size_t size = (sizeof(meshd_gcm) + 63) & ~(size_t)63;
    meshd_gcm *gcm = (meshd_gcm *)aligned_alloc(64, size);
    if (gcm == NULL) return NULL;
    memset(gcm, 0, size);
    gcm->manager = manager;
    IMB_AES128_GCM_PRE(manager, key, &gcm->key);
    return gcm;
}

static inline void meshd_gcm_free(meshd_gcm *gcm) {
    explicit_bzero(gcm, sizeof *gcm);
    free(gcm);
}

/// Begins a message with a nonce of 12 bytes and what is authenticated but not encrypted.
static inline void meshd_gcm_begin(
    meshd_gcm *gcm, const unsigned char *nonce, const unsigned char *header, size_t count) {
    IMB_AES128_GCM_INIT(gcm->manager, &gcm->key, &gcm->context, nonce, header, count);
}

static inline void meshd_gcm_seal(
    meshd_gcm *gcm, unsigned char *to, const unsigned char *from, size_t count) {
    IMB_AES128_GCM_ENC_UPDATE(gcm->manager, &gcm->key, &gcm->context, to, from, count);
}

static inline void meshd_gcm_open(
    meshd_gcm *gcm, unsigned char *to, const unsigned char *from, size_t count) {
    IMB_AES128_GCM_DEC_UPDATE(gcm->manager, &gcm->key, &gcm->context, to, from, count);
}

/// The tag of 16 bytes of what was sealed.
static inline void meshd_gcm_end_sealing(meshd_gcm *gcm, unsigned char *tag) {
    IMB_AES128_GCM_ENC_FINALIZE(gcm->manager, &gcm->key, &gcm->context, tag, 16);
}

/// The tag that what was opened should have had.
static inline void meshd_gcm_end_opening(meshd_gcm *gcm, unsigned char *tag) {
    IMB_AES128_GCM_DEC_FINALIZE(gcm->manager, &gcm->key, &gcm->context, tag, 16);
}
