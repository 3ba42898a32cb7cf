# guise: make | run | check | check-all | check-gpu | bench | info | clean
#
#   make run        the main job: the paper's question in the small, on drawn faces (installs what is missing first)
#   make check      the tests that a change can break, without a GPU
#   make check-gpu  the tests that go over devices, on this machine's GPU;  make bench-gpu writes docs/kernels.md there;
#                   make bundle makes a folder for a machine with a GPU and nothing else
#   make V=1 shows commands;  SAN=address,undefined builds with sanitizers;  CC=clang works;  ONEDNN= or CUDA= leaves
#   that library out;  MARCH=x86-64-v3 builds for other machines than this one;  ARCHS="75 80 90" are the GPU targets
#   (machine code runs on later GPUs of the same tens, intermediate code of the last one on all that are newer)
CC      ?= gcc
CXX     ?= g++
ifeq ($(origin CC),default)
CC      := gcc
endif
BUILD   ?= build
MARCH   ?= native
ARCHS   ?= 75 80 90
PYTHON  ?= python3
NVCC    ?= $(shell command -v nvcc 2>/dev/null)
CUDA    ?= $(if $(NVCC),1,)
ONEDNN  ?= $(shell printf '\#include <dnnl.h>\n' | $(CC) -E - >/dev/null 2>&1 && echo 1)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
Q       := $(if $(V),,@)

OPENMP  ?= -fopenmp
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined,)
WARN     := -Wall -Wextra $(if $(OPENMP),,-Wno-unknown-pragmas -Wno-unused-parameter)
CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE $(if $(findstring cuda/device,$@),-DCUDA_ARCHS='"$(ARCHS)"')
CFLAGS   += -std=c11 -O$(if $(SAN),1,3) -g $(OPENMP) -fPIC -fno-math-errno -ffp-contract=off $(WARN) $(SANFLAGS)
LDLIBS   := -lm $(if $(OPENMP),,-lgomp)
FACELIBS := -lpng -ljpeg -lz -linih
# of programs: the library above them, and in a bundle those that it brings; LD_LIBRARY_PATH goes first
RPATH    := -Wl,--enable-new-dtags,-rpath,'$$ORIGIN/..',-rpath,'$$ORIGIN/../lib'

ENGINE := $(wildcard engine/*.c engine/ops/*.c)
REF    := $(wildcard kernels/reference/*.c)
CPU    := $(wildcard kernels/cpu/*.c)
CU     := $(wildcard kernels/cuda/*.cu)
CUHOST := $(wildcard kernels/cuda/*.c)
FACE   := $(wildcard models/*.c models/weights/*.c data/*.c experiments/common/*.c)
MAINS  := $(wildcard experiments/*.c experiments/tools/*.c)
TESTS  := $(wildcard tests/[1-7]*.c)
O      := $(BUILD)/obj

HOSTOBJ := $(ENGINE:%.c=$O/%.o) $(REF:%.c=$O/%.o) $(REF:%.c=$O/%.64.o) $(CPU:%.c=$O/%.o) $O/gen/op_table.o
CUOBJ   := $(CU:%.cu=$O/%.o) $(CUHOST:%.c=$O/%.o)
BINS    := $(sort $(patsubst %,$(BUILD)/bin/%,$(notdir $(MAINS:.c=))))
TESTBINS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TESTS))

ifeq ($(CUDA),1)
CUDAHOME := $(abspath $(dir $(NVCC))..)
NVFLAGS  := -std=c++20 -O3 -Xcompiler -fPIC,-Wall $(CPPFLAGS) -Werror all-warnings \
            $(foreach a,$(ARCHS),-gencode arch=compute_$a,code=sm_$a) \
            $(foreach a,$(lastword $(ARCHS)),-gencode arch=compute_$a,code=compute_$a)
CUDALIBS := -L$(CUDAHOME)/lib64 -Wl,-rpath,$(CUDAHOME)/lib64 -lcublas -lcudnn -lcudart_static -lstdc++ -ldl -lrt -lpthread
endif
ifeq ($(ONEDNN),1)
CPPFLAGS += -DHAVE_ONEDNN
LDLIBS   += -ldnnl
endif

all: $(BUILD)/libguise.so $(BINS)

# ---- what the sources say of themselves: ops, kernels and backends, each on a line of its own
$(BUILD)/gen/stamp: $(wildcard engine/ops/*) $(REF) $(CPU) $(CU) $(CUHOST) tests/tables.sh Makefile
	$(Q)sh tests/tables.sh $(BUILD)/gen

$O/engine/%.o: engine/%.c $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -DGUISE_VERSION='"$(VERSION)"' -MMD -MP -c $< -o $@
$O/gen/%.o: $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -c $(BUILD)/gen/$*.c -o $@
$O/kernels/reference/%.64.o: kernels/reference/%.c $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -DREFERENCE64 -MMD -MP -c $< -o $@
$O/kernels/cpu/%.o: kernels/cpu/%.c $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -march=$(MARCH) -ffp-contract=fast -fno-trapping-math -MMD -MP -c $< -o $@
# drawn pictures are the same bits whatever the machine: its vectors, but no fused operations
$O/data/portraits%.o: CFLAGS += -march=$(MARCH)
$O/kernels/cuda/%.o: kernels/cuda/%.cu $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(NVCC) $(NVFLAGS) -MMD -MP -c $< -o $@
$O/kernels/cuda/%.o: kernels/cuda/%.c $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -isystem $(CUDAHOME)/include -MMD -MP -c $< -o $@
$O/%.o: %.c $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libguise.so: $(HOSTOBJ) $(if $(CUDA),$(CUOBJ) $O/gen/kernel_table_cuda.o,$O/gen/kernel_table.o)
	$(Q)$(CC) -shared $(CFLAGS) -o $@ $^ $(LDLIBS) $(CUDALIBS) -Wl,-rpath,'$$ORIGIN/lib'
$(BUILD)/libface.a: $(FACE:%.c=$O/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/bin/%: $O/experiments/%.o $(BUILD)/libface.a $(BUILD)/libguise.so
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) -o $@ $< $(BUILD)/libface.a -L$(BUILD) -lguise $(FACELIBS) $(LDLIBS) $(RPATH)
$(BUILD)/bin/%: $O/experiments/tools/%.o $(BUILD)/libface.a $(BUILD)/libguise.so
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) -o $@ $< $(BUILD)/libface.a -L$(BUILD) -lguise $(FACELIBS) $(LDLIBS) $(RPATH)
$(BUILD)/tests/%: $O/tests/%.o $(BUILD)/libface.a $(BUILD)/libguise.so
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) -o $@ $< $(BUILD)/libface.a -L$(BUILD) -lguise $(FACELIBS) $(LDLIBS) -lcheck -lsubunit -lrt -lpthread -lm $(RPATH)

# ---- the same sources with CUDA emulated on the CPU: every program runs on it with LD_LIBRARY_PATH=$(BUILD)/emu
-include tests/cudaemu/flags.mk
EMU     ?= plain
EMUDIR  := $(BUILD)/emu$(if $(filter-out plain,$(EMU)),-$(EMU),)
EMUOBJ  := $(CU:%.cu=$(EMUDIR)/%.o) $(filter-out $(EMUDIR)/kernels/cuda/vendor%,$(CUHOST:%.c=$(EMUDIR)/%.o)) \
           $(patsubst tests/cudaemu/%.cpp,$(EMUDIR)/%.o,$(filter-out tests/cudaemu/selftest%,$(wildcard tests/cudaemu/*.cpp)))
EMUINC   = $(CPPFLAGS) -Itests/cudaemu -Itests/cudaemu/include
emu: $(EMUDIR)/libguise.so
$(EMUDIR)/%.o: %.cu $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CXX) $(EMUINC) $(WARN) $(EMU_CXXFLAGS_$(EMU)) -fPIC -MMD -MP -x c++ -c $< -o $@
$(EMUDIR)/%.o: %.c $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CC) $(EMUINC) $(CFLAGS) -MMD -MP -c $< -o $@
$(EMUDIR)/%.o: tests/cudaemu/%.cpp $(BUILD)/gen/stamp
	$(Q)mkdir -p $(@D) && $(CXX) $(EMUINC) $(WARN) $(EMU_CXXFLAGS_$(EMU)) -fPIC -MMD -MP -c $< -o $@
$(EMUDIR)/libguise.so: $(HOSTOBJ) $(EMUOBJ) $O/gen/kernel_table_cuda.o
	$(Q)$(CXX) -shared $(SANFLAGS) $(EMU_CXXFLAGS_$(EMU)) $(OPENMP) -o $@ $^ $(LDLIBS)

# ---- docs/tutorial: from a loop to the fused kernel, emulated and, where nvcc is, for the GPU
STEPS := $(basename $(notdir $(wildcard docs/tutorial/[1-9]_*)))
$(EMUDIR)/tutorial/%: docs/tutorial/%.cu $(EMUDIR)/libguise.so docs/tutorial/tutorial.h docs/tutorial/merge.h
	$(Q)mkdir -p $(@D) && $(CXX) $(EMUINC) $(WARN) $(EMU_CXXFLAGS_$(EMU)) -o $@ -x c++ $< -x none -L$(EMUDIR) -lguise -Wl,-rpath,'$$ORIGIN/..'
$(EMUDIR)/tutorial/%: docs/tutorial/%.c $(EMUDIR)/libguise.so
	$(Q)mkdir -p $(@D) && $(CC) $(EMUINC) $(CFLAGS) -o $@ $< -L$(EMUDIR) -lguise -lm -Wl,-rpath,'$$ORIGIN/..'
$(BUILD)/tutorial/%: docs/tutorial/%.cu docs/tutorial/tutorial.h docs/tutorial/merge.h
	$(Q)mkdir -p $(@D) && $(NVCC) $(NVFLAGS) -o $@ $<
tutorial: $(STEPS:%=$(EMUDIR)/tutorial/%) $(if $(CUDA),$(patsubst %,$(BUILD)/tutorial/%,$(filter-out 6_%,$(STEPS))))
	$(Q)sh docs/tutorial/run.sh $(EMUDIR)/tutorial
	$(Q)$(if $(CUDA),sh docs/tutorial/run.sh $(BUILD)/tutorial || [ $$? = 77 ])

# ---- jobs
setup:
	$(Q)sh tests/setup.sh
run: setup
	$(Q)$(MAKE) --no-print-directory -j2 all && sh experiments/run.sh $(BUILD)/bin
check: setup
	$(Q)bash tests/check.sh $(BUILD)
check-all: setup
	$(Q)bash tests/check.sh $(BUILD) all
check-gpu: setup all $(TESTBINS)
	$(Q)bash tests/check_gpu.sh $(BUILD) $(BUILD)
tests: $(TESTBINS) emu
bench: all
	$(Q)$(BUILD)/bin/bench $(if $(ONLY),--only $(ONLY),)
bench-gpu: all
	$(Q)$(PYTHON) tests/peers/bench_gpu.py --build $(BUILD)
bundle:
	$(Q)NVCC=$(NVCC) bash tests/bundle.sh $(BUILD)/bundle
registers: $(BUILD)/gen/stamp
	$(Q)NVCC=$(NVCC) GEN=$(BUILD)/gen bash tests/registers.sh $(BUILD)/registers.txt && head -n 20 $(BUILD)/registers.txt
bench-ops: all
	$(Q)for op in $(if $(OPS),$(OPS),conv2d batch_norm adam); do $(BUILD)/bin/op $$op --bench || exit 1; done
info: all
	$(Q)$(BUILD)/bin/op --info
clean:
	rm -rf $(BUILD)

.PHONY: all emu setup run check check-all check-gpu tests bench bench-gpu bench-ops bundle registers tutorial info clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
