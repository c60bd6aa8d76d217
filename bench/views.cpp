// The stage `ept-identity` without a trace: what its view changes cost alone.
//
// CMakeLists.txt gives the stage's driver.cpp `untraced_exit_path` and this function. The tool
// compares a driver's report of a guest with the processor's; without a trace there is nothing to
// compare.
#include "stages/ept-identity/journal.hpp"

namespace hvp::identity_stage {

void report_no_run(const platform::TraceProvider&, const vmx::Session&, const StageMemory&) {}

}  // namespace hvp::identity_stage
