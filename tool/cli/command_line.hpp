// Reads the command line.
#pragma once

#include "tool/base/options.hpp"
#include "tool/base/repository.hpp"

namespace hvp::tool {

/// Reads and checks the command line; says on stdout what help asks for, on stderr what is wrong.
[[nodiscard]] Options read_command_line(int count, const char* const* arguments,
                                        const Repository& repository);

}  // namespace hvp::tool
