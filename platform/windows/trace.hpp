// A driver's events for Windows' event tracing: typed, distinguished by name, and free when no
// session records them. docs/tracing.md has the commands that record them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hypervisor/trace/tracelogging.hpp"
#include "hypervisor/vmcs/vmx_basic.hpp"
#include "hypervisor/vmx/failure.hpp"
#include "platform/windows/irql.hpp"
#include "platform/windows/nt.hpp"

namespace hvp::windows {

/// One bit for each kind of event: a session chooses by them.
namespace keyword {
inline constexpr std::uint64_t exits = 1;  ///< what happened at each VM exit
inline constexpr std::uint64_t life = 2;   ///< VMX operation begins and ends, and what came of it
inline constexpr std::uint64_t failures = 4;  ///< what went wrong, and what to do
}  // namespace keyword

/// The provider HVPlayground, registered while the object lives. An image that is unloaded with a
/// provider still registered leaves Windows a pointer to nowhere; so no way out of DriverEntry may
/// miss EtwUnregister, and the destructor misses none.
///
/// If Windows does not register it, events go nowhere, and the driver does its work all the same.
class TraceProvider {
public:
    /// Source   [Windows: EtwRegister], [Windows: EtwSetInformation]
    explicit TraceProvider(const AtPassiveLevel&);
    TraceProvider(const TraceProvider&) = delete;
    TraceProvider& operator=(const TraceProvider&) = delete;
    ~TraceProvider();

    /// Writes an event. Each value has exactly the type of its field.
    ///
    /// Where    any IRQL, but not in VMX root operation: Windows takes locks and sends IPIs.
    /// Source   [Windows: EtwWriteTransfer]
    template <typename Event, typename... Values>
        requires(Event::template takes<Values...>)
    void write(Values... values) const {
        static_assert(Event::piece_count <= most_pieces);
        const auto slots = Event::slots(values...);
        write(Event::layout, slots.data(), slots.size());
    }

private:
    static constexpr std::size_t most_pieces = 12;

    // Not a span, which Windows' calling convention passes in memory: it is called in many places.
    void write(const trace::EventLayout& event, const std::uint64_t* slots,
               std::size_t count) const;

    REGHANDLE handle_{};
};

/// What VMX operation is like on this processor.
void trace_supported(const TraceProvider& provider, const vmx::VmxBasic& basic, std::uint64_t at);

/// What a VMCS held when VM entry failed: encodings and values by turns, of the fields that this
/// processor has.
using VmcsFields =
    trace::Event<"VmcsFields", {.level = trace::Level::error, .keyword = keyword::failures},
                 trace::Array<"fields", trace::In::hex_int64>>;

/// A failure: the VMX instruction that said no, if it was one, then step, rule and remedy.
void trace_failure(const TraceProvider& provider, const vmx::Failure& failure);

}  // namespace hvp::windows
