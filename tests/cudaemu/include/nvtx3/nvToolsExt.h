/* nvToolsExt.h - the two functions of NVIDIA's NVTX 3 that guise uses; fakecuda_api.cpp counts their calls. */
#ifndef GUISE_EMU_NVTX_H
#define GUISE_EMU_NVTX_H

#ifdef __cplusplus
extern "C" {
#endif
int nvtxRangePushA(const char *message);
int nvtxRangePop(void);
#ifdef __cplusplus
}
#endif
#endif
