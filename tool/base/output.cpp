#include "tool/base/output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace hvp::tool {
namespace {

int first_error = 0;  // the stream does not keep it, and drops what it could not write

}  // namespace

void keep_standard_streams() {
    // open() takes the lowest number that is free. Reading only: a write fails.
    for (int stream = open("/dev/null", O_RDONLY); stream >= 0;
         stream = open("/dev/null", O_RDONLY)) {
        if (stream > STDERR_FILENO) {
            close(stream);
            return;
        }
    }
}

void write_output(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size()) {
        note_output_error(errno);
    }
}

void note_output_error(int error) {
    first_error = first_error != 0 ? first_error : error;
}

void flush_output() {
    if (std::fflush(stdout) != 0) {
        note_output_error(errno);
    }
}

std::string unwritten_output() {
    flush_output();
    return first_error == 0
               ? ""
               : fmt::format("standard output cannot be written: {}", std::strerror(first_error));
}

}  // namespace hvp::tool
