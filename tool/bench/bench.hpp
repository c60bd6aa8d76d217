// `playground bench`: measurements that a newcomer can repeat.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

/// `startup`: seconds from the command to the end of the story, compared with those of the bare
/// emulator.
[[nodiscard]] ExitStatus bench_startup(const BenchOptions& options, const Repository& repository);

/// `exits`: instructions from a VM exit to the next VM entry, for each kind of exit, compared with
/// those of hand-written handlers. They are the same each time.
///
/// Returns  failed when CPUID costs more than we allow ourselves
[[nodiscard]] ExitStatus bench_exits(const BenchOptions& options, const Repository& repository);

/// `ept`: instructions for building the tables of a guest that has only the pages that it needs,
/// for changing one page, and for an EPT violation; bytes of the tables.
[[nodiscard]] ExitStatus bench_ept(const BenchOptions& options, const Repository& repository);

}  // namespace hvp::tool
