// A driver's events as lines of text: `Name key=value …`, for a debugger and for the lab.
#pragma once

#include "platform/windows/nt.hpp"

namespace hvp::windows {

/// Prints one event; shown by a kernel debugger without further settings.
///
/// Where    IRQL <= DIRQL, outside VMX operation: DbgPrintEx takes locks and sends IPIs.
/// Source   [Windows: DbgPrintEx]
template <typename... Values>
void print_event(const char* format, Values... values) {
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, format, values...);
}

}  // namespace hvp::windows
