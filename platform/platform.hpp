// What a host must offer to a stage.
//
// A stage runs inside a host system: Windows loads it as a driver and gives it memory. What it
// needs of that host is little, and it is written down here as concepts: to bring stages to another
// host, add a folder next to `windows/`; the compiler says what is still missing there.
// Stages say `platform::`, and platform/host.hpp chooses whose folder that is.
//
// What only one host has stays in a stage's driver.cpp: how the driver is entered, with which
// types, and what it returns. hypervisor/ needs none of all this: it gets memory, addresses and
// processor state as values.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "hypervisor/arch/address.hpp"
#include "hypervisor/arch/address_space.hpp"
#include "hypervisor/trace/tracelogging.hpp"

namespace hvp::platform {

/// Contiguous pages, of which we know both addresses: VMX regions and paging structures are given
/// to the processor by physical address, and written by us through a linear one. They are zeroed,
/// not executable, and freed by the destructor.
///
/// `Token` is a proof that the code may allocate. A VM-exit handler has none: in VMX root operation
/// nothing of the host may be called.
template <typename T, typename Token>
concept ContiguousPages =
    std::move_constructible<T> && !std::copy_constructible<T> &&
    requires(const T& pages, const Token& token, arch::HostPhysicalAddress highest) {
        { T::allocate(token, std::size_t{1}, highest) } -> std::same_as<std::optional<T>>;
        { pages.start() } -> std::same_as<std::byte*>;
        { pages.end() } -> std::same_as<std::byte*>;
        { pages.bytes() } -> std::same_as<std::size_t>;
        { pages.physical() } -> std::same_as<arch::HostPhysicalAddress>;
    };

/// Another linear address of memory that the host has mapped read-only; there it can be written.
template <typename T, typename Token>
concept SecondMapping = std::move_constructible<T> && !std::copy_constructible<T> &&
                        requires(const T& alias, const Token& token, const volatile void* memory) {
                            {
                                T::map(token, memory, std::size_t{1})
                            } -> std::same_as<std::optional<T>>;
                            { alias.start() } -> std::same_as<void*>;
                        };

/// While one lives, the calling thread stays on one processor. VMX operation belongs to a
/// processor, not to a thread. Without an argument: the processor where the thread is.
template <typename T>
concept PinsThread = std::default_initializable<T> && std::constructible_from<T, std::uint32_t> &&
                     !std::copy_constructible<T> && requires(const T& pinned) {
                         { pinned.index() } -> std::same_as<std::uint32_t>;
                     };

/// While one lives, no other thread runs on this processor. Interrupts still arrive.
template <typename T>
concept StopsPreemption = std::default_initializable<T> && !std::copy_constructible<T>;

/// Records events (hypervisor/trace/tracelogging.hpp). Outside VMX operation only: a host takes
/// locks for it.
template <typename T>
concept EventSink = requires(const T& sink, std::uint64_t value) {
    sink.template write<trace::Event<"Any", trace::Traits{}, trace::UInt64<"value">>>(value);
};

/// The code that runs in VMX root operation, and how to map it in the VMM's own page tables.
template <typename T>
concept OwnImage = requires(const T& image, arch::AddressSpace& space) {
    { image.map(space) } -> std::same_as<std::expected<void, arch::MapError>>;
};

}  // namespace hvp::platform
