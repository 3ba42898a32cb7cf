# flags.mk - how .cu files, the emulator and everything in the same program are compiled for the three builds.
# For `include` from the repository root.  With `g++ -x c++` for .cu files.
#     plain   finds wrong results and mistaken waits; run with CE_SCHED=asc, desc and rand
#     asan    finds wrong addresses, uninitialised shared memory, host access to device memory; FAKECUDA=lazy
#     tsan    finds missing barriers, and with CE_BLOCKRACES=1 races between blocks; blocks of at most 256 threads
# The sanitizers need GCC: clang puts no redzones around static shared memory.

EMU_CXX      ?= g++
EMU_DIR      := tests/cudaemu
EMU_SOURCES  := $(EMU_DIR)/fiber.cpp $(EMU_DIR)/emu.cpp $(EMU_DIR)/fakecuda.cpp $(EMU_DIR)/fakecuda_api.cpp
EMU_INCLUDES := -I$(EMU_DIR) -I$(EMU_DIR)/include -I.

# #pragma unroll means something to nvcc only, and structures are initialised by name as in C; contraction into fma
# would differ from one compiler to the next.
EMU_COMMON   := -std=c++20 -g -fPIC -Wall -Wextra -Wno-unknown-pragmas -Wno-missing-field-initializers \
                -ffp-contract=off $(EMU_INCLUDES)

EMU_SANITIZE_plain :=
EMU_SANITIZE_asan  := -fsanitize=address,undefined -fno-sanitize-recover=undefined
EMU_SANITIZE_tsan  := -fsanitize=thread

EMU_CXXFLAGS_plain := $(EMU_COMMON) -O2 -fopenmp
# For shared memory of template kernels GCC writes ".section .noinit.NAME" of a type that the assembler takes, but warns
# of (it knows sections of that name as empty ones).  The plain build, without it, warns of everything else.
EMU_NOINIT         := -Wa,--no-warn
EMU_CXXFLAGS_asan  := $(EMU_COMMON) -O1 -fno-omit-frame-pointer $(EMU_SANITIZE_asan) $(EMU_NOINIT)
EMU_CXXFLAGS_tsan  := $(EMU_COMMON) -O1 $(EMU_SANITIZE_tsan) $(EMU_NOINIT)

EMU_LDFLAGS_plain  := -fopenmp
EMU_LDFLAGS_asan   := $(EMU_SANITIZE_asan)
EMU_LDFLAGS_tsan   := $(EMU_SANITIZE_tsan)
