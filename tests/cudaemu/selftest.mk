# selftest.mk - builds $(BUILD)/{plain,asan,tsan}/selftest; used by selftest.sh.
include tests/cudaemu/flags.mk

VARIANTS := plain asan tsan
OBJECTS  := fiber.o emu.o fakecuda.o fakecuda_api.o selftest.o selftest_host.o

all: $(VARIANTS:%=$(BUILD)/%/selftest)

define VARIANT
$(BUILD)/$(1)/%.o: $(EMU_DIR)/%.cpp
	@mkdir -p $$(@D)
	$(EMU_CXX) $(EMU_CXXFLAGS_$(1)) $(EMU_EXTRA) -MMD -c $$< -o $$@
$(BUILD)/$(1)/%.o: $(EMU_DIR)/%.cu
	@mkdir -p $$(@D)
	$(EMU_CXX) $(EMU_CXXFLAGS_$(1)) $(EMU_EXTRA) -MMD -x c++ -c $$< -o $$@
$(BUILD)/$(1)/selftest: $(OBJECTS:%=$(BUILD)/$(1)/%)
	$(EMU_CXX) $$^ $(EMU_LDFLAGS_$(1)) -o $$@
endef
$(foreach v,$(VARIANTS),$(eval $(call VARIANT,$(v))))

-include $(wildcard $(BUILD)/*/*.d)
