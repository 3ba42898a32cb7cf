/* layers.h - the few layers that the networks are spelled with: parameters named as PyTorch names them. */
#ifndef MODELS_LAYERS_H
#define MODELS_LAYERS_H

#include "ops.h"

/* How batch normalisation and dropout behave while a network is recorded. */
typedef struct Mode {
    bool training;    /* statistics of the batch; otherwise the running ones */
    bool update;      /* whether the running statistics move */
    int groups;       /* parts of the batch with statistics of their own; 0 means 1 */
} Mode;
#define EVAL ((Mode){0})
#define TRAIN ((Mode){.training = true, .update = true})
#define TRAIN_KEEP ((Mode){.training = true})              /* batch statistics, running ones stay */
#define TRAIN_GROUPS(n) ((Mode){.training = true, .update = true, .groups = (n)})

typedef struct ConvLayer {
    int filters, kernel, stride, padding;
    bool bias;
    Init init;        /* of the weight; zero means N(0, 0.02), DCGAN's (Radford et al., 2016) */
} ConvLayer;

/* Parameters NAME.weight (F,C,K,K) and NAME.bias (F). */
Val conv(Val x, const char *name, ConvLayer layer);
/* Transposed: NAME.weight (C,F,K,K). */
Val conv_transpose(Val x, const char *name, ConvLayer layer);
/* Parameters NAME.weight (out,in) and NAME.bias (out); x (B,in). */
Val linear(Val x, const char *name, int out, bool bias, Init init);
/* Parameters NAME.weight, NAME.bias (C), states NAME.running_mean, NAME.running_var. */
Val batch_norm(Val x, const char *name, Mode mode);
/* The same without NAME.weight: its scale stays 1 (the output layer of insightface's head E). */
Val batch_norm_unscaled(Val x, const char *name, Mode mode);
/* He et al., 2015, fan out: N(0, sqrt(2 / (F K K))). */
Init init_he(int filters, int kernel);

/* Number of parameters of a store whose names begin with prefix. */
int64_t parameter_count(const Store *s, const char *prefix);

#endif
