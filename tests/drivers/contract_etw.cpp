// What lab/nt/etw exports: providers of events, and events.
#include <array>
#include <bit>
#include <span>

#include "hypervisor/arch/instructions.hpp"
#include "hypervisor/trace/guid.hpp"
#include "hypervisor/trace/tracelogging.hpp"
#include "tests/drivers/contract.hpp"

namespace {

using namespace hvp::tests;
namespace trace = hvp::trace;

constexpr trace::Guid guid{
    0x6e961447, 0xb955, 0x5c54, {0x9b, 0xf1, 0x83, 0x9b, 0x32, 0x0c, 0xcf, 0x71}};
constexpr std::span<const std::uint8_t> traits = trace::provider_metadata<"ContractEtw">;

using Hello = trace::Event<"Hello", {.keyword = 1}, trace::Text<"text">, trace::UInt32<"number">>;

using Large = trace::Event<"Large", {.keyword = 1}, trace::Array<"bytes", trace::In::uint8>>;

constinit std::array<std::uint8_t, 70'000> large{};

NTSTATUS status(std::uint32_t value) {
    return static_cast<NTSTATUS>(value);
}

constexpr std::uint32_t access_violation = 0xC0000005;
constexpr std::uint32_t invalid_handle = 0xC0000008;
constexpr std::uint32_t invalid_device_request = 0xC0000010;

/// What the enable callback was told last.
struct Enabled {
    ULONG is_enabled{};
    UCHAR level{};
    ULONGLONG any{};
    KIRQL irql{};
};

VOID NTAPI on_enabled(LPCGUID, ULONG is_enabled, UCHAR level, ULONGLONG any, ULONGLONG,
                      PEVENT_FILTER_DESCRIPTOR, PVOID context) {
    *static_cast<Enabled*>(context) = {is_enabled, level, any, KeGetCurrentIrql()};
}

REGHANDLE registered(PETWENABLECALLBACK callback = nullptr, void* context = nullptr) {
    REGHANDLE handle{};
    static_cast<void>(
        EtwRegister(reinterpret_cast<const GUID*>(&guid), callback, context, &handle));
    return handle;
}

NTSTATUS set_traits(REGHANDLE handle, ULONG bytes = traits.size()) {
    return EtwSetInformation(handle, EventProviderSetTraits,
                             const_cast<std::uint8_t*>(traits.data()), bytes);
}

/// Registers, lets somebody work with the handle, and unregisters.
template <typename Work>
auto with_provider(Work work) {
    const REGHANDLE handle = registered();
    static_cast<void>(set_traits(handle));
    const auto result = work(handle);
    static_cast<void>(EtwUnregister(handle));
    return result;
}

using Pieces = std::array<trace::DataDescriptor, Hello::piece_count + 2>;

/// Hello's pieces; `slots` must live as long.
Pieces pieces_of(const Hello::Slots& slots) {
    Pieces pieces;
    trace::describe(traits, Hello::layout, slots, pieces);
    return pieces;
}

EVENT_DATA_DESCRIPTOR* windows(trace::DataDescriptor* pieces) {
    return reinterpret_cast<EVENT_DATA_DESCRIPTOR*>(pieces);
}

const EVENT_DESCRIPTOR* descriptor() {
    return reinterpret_cast<const EVENT_DESCRIPTOR*>(&Hello::layout.descriptor);
}

NTSTATUS write(REGHANDLE handle, std::span<trace::DataDescriptor> pieces) {
    return EtwWriteTransfer(handle, descriptor(), nullptr, nullptr,
                            static_cast<ULONG>(pieces.size()), windows(pieces.data()));
}

NTSTATUS write_hello(REGHANDLE handle, const char* text, std::uint32_t number) {
    const auto slots = Hello::slots(text, number);
    auto pieces = pieces_of(slots);
    return write(handle, pieces);
}

/// Hello with another of its pieces.
template <typename Change>
void write_changed(Change change) {
    with_provider([&](REGHANDLE handle) {
        const auto slots = Hello::slots("x", std::uint32_t{1});
        auto pieces = pieces_of(slots);
        change(pieces);
        return write(handle, pieces);
    });
}

bool interrupts_are_on() {
    return hvp::arch::read_rflags().has(hvp::arch::Rflags::interrupt_enable);
}

/// Whether writing an event with a piece at a bad address raises an exception.
bool raises(REGHANDLE handle, std::span<trace::DataDescriptor> pieces) {
    __try {
        static_cast<void>(write(handle, pieces));
    } __except (_exception_code() == access_violation) {
        return true;
    }
    return false;
}

constexpr std::array promises{
    Promise{"EtwRegister", "gives a handle, and calls back at PASSIVE_LEVEL",
            [] {
                Enabled enabled;
                const REGHANDLE handle = registered(on_enabled, &enabled);
                static_cast<void>(EtwUnregister(handle));
                return handle != 0 && enabled.is_enabled == 1 && enabled.level >= 5 &&
                       enabled.any != 0 && enabled.irql == PASSIVE_LEVEL;
            }},
    Promise{"EtwRegister", "needs a GUID and a place for the handle",
            [] {
                REGHANDLE handle{};
                const auto* const id = reinterpret_cast<const GUID*>(&guid);
                return EtwRegister(nullptr, nullptr, nullptr, &handle) ==
                           STATUS_INVALID_PARAMETER &&
                       EtwRegister(id, nullptr, nullptr, nullptr) == STATUS_INVALID_PARAMETER;
            }},
    Promise{"EtwUnregister", "succeeds once for each EtwRegister",
            [] {
                const REGHANDLE one = registered();
                const REGHANDLE two = registered();
                return one != two && EtwUnregister(one) == STATUS_SUCCESS &&
                       EtwUnregister(two) == STATUS_SUCCESS;
            }},
    Promise{"EtwUnregister", "the handle 0 is none",
            [] { return EtwUnregister(0) == status(invalid_handle); }},
    Promise{"EtwSetInformation", "takes traits, once",
            [] {
                const REGHANDLE handle = registered();
                const NTSTATUS first = set_traits(handle);
                const NTSTATUS second = set_traits(handle);
                static_cast<void>(EtwUnregister(handle));
                return first == STATUS_SUCCESS && second != STATUS_SUCCESS;
            }},
    Promise{"EtwSetInformation", "refuses traits of another size than they say",
            [] {
                const REGHANDLE handle = registered();
                const NTSTATUS result = set_traits(handle, traits.size() - 1);
                static_cast<void>(EtwUnregister(handle));
                return result == STATUS_INVALID_PARAMETER;
            }},
    Promise{"EtwSetInformation", "does not know other classes",
            [] {
                return with_provider([](REGHANDLE handle) {
                    const auto other = static_cast<EVENT_INFO_CLASS>(77);
                    return EtwSetInformation(handle, other, nullptr, 0) ==
                           status(invalid_device_request);
                });
            }},
    Promise{"EtwSetInformation", "the handle 0 is none",
            [] { return set_traits(0) == status(invalid_handle); }},
    Promise{"EtwWriteTransfer", "writes an event that describes itself",
            [] {
                return with_provider([](REGHANDLE handle) {
                    return write_hello(handle, "from PASSIVE_LEVEL", 1) == STATUS_SUCCESS;
                });
            }},
    Promise{"EtwWriteTransfer", "works at HIGH_LEVEL",
            [] {
                return with_provider([](REGHANDLE handle) {
                    NTSTATUS result{};
                    at_irql(HIGH_LEVEL,
                            [&] { result = write_hello(handle, "from HIGH_LEVEL", 2); });
                    return result == STATUS_SUCCESS;
                });
            }},
    Promise{"EtwWriteTransfer", "a value may be in several pieces",
            [] {
                return with_provider([](REGHANDLE handle) {
                    const auto slots = Hello::slots("in three", std::uint32_t{3});
                    const auto pieces = pieces_of(slots);
                    std::array<trace::DataDescriptor, 5> split{pieces[0], pieces[1], pieces[2],
                                                               pieces[2], pieces[3]};
                    split[2].bytes = 4;
                    split[3].address += 4;
                    split[3].bytes -= 4;
                    return write(handle, split) == STATUS_SUCCESS;
                });
            }},
    Promise{"EtwWriteTransfer", "raises an exception for a bad address, and goes on to work",
            [] {
                return with_provider([](REGHANDLE handle) {
                    const auto slots = Hello::slots("x", std::uint32_t{1});
                    auto pieces = pieces_of(slots);
                    pieces[3].address = opaque(std::uint64_t{16});
                    return raises(handle, pieces) && interrupts_are_on() &&
                           write_hello(handle, "after an exception", 6) == STATUS_SUCCESS;
                });
            }},
    Promise{"EtwWriteTransfer", "with the handle 0 nothing is written",
            [] { return write_hello(0, "never", 0) == status(invalid_handle); }},
    Promise{"EtwWriteTransfer", "before there are traits, pieces have no types",
            [] {
                const REGHANDLE handle = registered();
                const NTSTATUS result = write_hello(handle, "without a description", 4);
                static_cast<void>(EtwUnregister(handle));
                return result == STATUS_SUCCESS;
            }},
    Promise{"EtwWriteTransfer", "pieces have types if the driver says so",
            [] {
                const REGHANDLE handle = registered();
                BOOLEAN yes = TRUE;
                const NTSTATUS set =
                    EtwSetInformation(handle, EventProviderUseDescriptorType, &yes, sizeof yes);
                const NTSTATUS result = write_hello(handle, "with typed pieces", 5);
                static_cast<void>(EtwUnregister(handle));
                return set == STATUS_SUCCESS && result == STATUS_SUCCESS;
            }},
    Promise{"EtwWriteTransfer", "takes up to 64 KiB, of which a line of the lab's shows less",
            [] {
                return with_provider([](REGHANDLE handle) {
                    const auto slots = Large::slots(std::span{large}.first(60'000));
                    std::array<trace::DataDescriptor, Large::piece_count + 2> pieces;
                    trace::describe(traits, Large::layout, slots, pieces);
                    return write(handle, pieces) == STATUS_SUCCESS;
                });
            }},
    Promise{"EtwWrite", "writes an event of a manifest, without data",
            [] {
                return with_provider([](REGHANDLE handle) {
                    constexpr EVENT_DESCRIPTOR event{.Id = 7,
                                                     .Version = 1,
                                                     .Channel = 0,
                                                     .Level = 4,
                                                     .Opcode = 0,
                                                     .Task = 0,
                                                     .Keyword = 0x10};
                    return EtwWrite(handle, &event, nullptr, 0, nullptr) == STATUS_SUCCESS;
                });
            }},
    Promise{"EtwProviderEnabled", "says yes for what is registered, at HIGH_LEVEL too",
            [] {
                return with_provider([](REGHANDLE handle) {
                    BOOLEAN enabled{};
                    at_irql(HIGH_LEVEL, [&] { enabled = EtwProviderEnabled(handle, 5, 1); });
                    return enabled != FALSE && EtwProviderEnabled(0, 5, 1) == FALSE;
                });
            }},
    Promise{"EtwEventEnabled", "says yes for what is registered",
            [] {
                return with_provider([](REGHANDLE handle) {
                    return EtwEventEnabled(handle, descriptor()) != FALSE &&
                           EtwEventEnabled(0, descriptor()) == FALSE;
                });
            }},
};

constexpr std::array mistakes{
    Mistake{"EtwRegister", "at DISPATCH_LEVEL",
            [] {
                REGHANDLE handle{};
                at_irql(DISPATCH_LEVEL, [&] { handle = registered(); });
                static_cast<void>(EtwUnregister(handle));
            },
            "IrqlTooHigh"},
    Mistake{"EtwUnregister", "at DISPATCH_LEVEL",
            [] {
                const REGHANDLE handle = registered();
                at_irql(DISPATCH_LEVEL, [&] { static_cast<void>(EtwUnregister(handle)); });
            },
            "IrqlTooHigh"},
    Mistake{"EtwUnregister", "twice",
            [] {
                const REGHANDLE handle = registered();
                static_cast<void>(EtwUnregister(handle));
                static_cast<void>(EtwUnregister(handle));
            },
            "NoRegistration"},
    Mistake{"EtwUnregister", "never", [] { static_cast<void>(registered()); },
            "EtwRegistrationLeft"},
    Mistake{"EtwSetInformation", "at DISPATCH_LEVEL",
            [] {
                const REGHANDLE handle = registered();
                at_irql(DISPATCH_LEVEL, [&] { static_cast<void>(set_traits(handle)); });
                static_cast<void>(EtwUnregister(handle));
            },
            "IrqlTooHigh"},
    Mistake{"EtwWriteTransfer", "after EtwUnregister",
            [] {
                const REGHANDLE handle = registered();
                static_cast<void>(EtwUnregister(handle));
                static_cast<void>(write_hello(handle, "too late", 0));
            },
            "NoRegistration"},
    Mistake{"EtwWriteTransfer", "metadata cut off",
            [] { write_changed([](Pieces& pieces) { pieces[1].bytes -= 3; }); },
            "TraceEventBroken"},
    Mistake{"EtwWriteTransfer", "less data than the fields take",
            [] { write_changed([](Pieces& pieces) { pieces[3].bytes = 2; }); }, "TraceEventBroken"},
    Mistake{"EtwWriteTransfer", "a text without an end",
            [] {
                write_changed([](Pieces& pieces) {
                    pieces[2].bytes = 1;
                    pieces[3].bytes = 0;
                });
            },
            "TraceEventBroken"},
    Mistake{"EtwWriteTransfer", "traits cut off",
            [] { write_changed([](Pieces& pieces) { pieces[0].bytes = 4; }); }, "TraceEventBroken"},
    Mistake{"EtwWriteTransfer", "more than 64 KiB",
            [] {
                write_changed([](Pieces& pieces) {
                    pieces[2].address = reinterpret_cast<std::uint64_t>(large.data());
                    pieces[2].bytes = large.size();
                });
            },
            "TraceEventLost"},
    Mistake{"EtwWriteTransfer", "more than 128 pieces",
            [] {
                with_provider([](REGHANDLE handle) {
                    static constinit std::array<trace::DataDescriptor, 129> many{};
                    return write(handle, many);
                });
            },
            "TraceEventLost"},
    Mistake{"EtwWrite", "with a handle that never was",
            [] { static_cast<void>(EtwWrite(0x1234, descriptor(), nullptr, 0, nullptr)); },
            "NoRegistration"},
    Mistake{"EtwProviderEnabled", "with a handle that never was",
            [] { static_cast<void>(EtwProviderEnabled(0x1234, 0, 0)); }, "NoRegistration"},
    Mistake{"EtwEventEnabled", "with a handle that never was",
            [] { static_cast<void>(EtwEventEnabled(0x1234, descriptor())); }, "NoRegistration"},
};

constexpr std::array crashes{
    Crash{"EtwWriteTransfer", "a piece that is not there", "piece",
          [] {
              write_changed([](Pieces& pieces) { pieces[3].address = opaque(std::uint64_t{16}); });
          },
          0x7E},
};

constexpr Contract contract{"contract_etw", promises, mistakes, crashes, {}};

}  // namespace

extern "C" NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    return examine(contract, driver, path);
}
