/* trained.h - networks that experiments have trained, for programs that use them on their own. */
#ifndef GUISE_TRAINED_H
#define GUISE_TRAINED_H

#include "engine/engine.h"
#include "experiments/common/config.h"

/* Path of a file of the newest finished stage NAME-HASH in a run folder; the caller frees it.  NULL: none is
 * finished. */
char *trained_find(const char *run, const char *stage, const char *file);

/* Puts the settings of the stage that made a file (stage.txt beside it) into the configuration, so that networks get
 * the sizes that they were trained with.  Settings that this version does not know are left out.  Without a stage.txt
 * nothing changes.  0 or -1 (it cannot be read). */
int trained_settings(const char *file, Config *c);

/* The identity network's file that belongs to a synthesis network's: identity.safetensors beside it, else that of the
 * stage which the synthesis stage was made from, else identity.weights of the configuration.  The caller frees it;
 * NULL: none is found. */
char *trained_identity(const char *synthesis, const Config *c);

/* store_load, whose message says what to do where the file's sizes are others. */
int trained_load(Store *s, const char *file, const char *prefix);

#endif
