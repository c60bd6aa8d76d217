// The signals that end the program, as something to wait for.
#pragma once

#include <sys/signalfd.h>

#include <csignal>

#include "lab/machine/pseudo_terminal.hpp"

namespace hvp::tool {

/// Returns  a descriptor for signals, to wait for with others. Child processes do not inherit the
///          mask.
[[nodiscard]] inline lab::Descriptor stop_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&signals, signal);
    }
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    return lab::Descriptor{signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
}

}  // namespace hvp::tool
