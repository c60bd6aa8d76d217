#include "platform/windows/trace.hpp"

#include <array>
#include <cstddef>
#include <span>

#include "hypervisor/trace/guid.hpp"
#include "hypervisor/vmcs/instruction_error.hpp"

namespace hvp::windows {
namespace {

using trace::HexInt32;
using trace::HexInt64;
using trace::Level;
using trace::Text;
using trace::UInt32;

constexpr trace::Guid guid{
    0xf18b05d4, 0x159f, 0x5b35, {0xc1, 0xfa, 0x61, 0x00, 0x5b, 0x8e, 0xc7, 0xb6}};
constexpr std::span<const std::uint8_t> traits = trace::provider_metadata<"HVPlayground">;

static_assert(sizeof(GUID) == sizeof(trace::Guid));
static_assert(sizeof(EVENT_DESCRIPTOR) == sizeof(trace::EventDescriptor));
static_assert(sizeof(EVENT_DATA_DESCRIPTOR) == sizeof(trace::DataDescriptor));

using Supported =
    trace::Event<"Supported", {.keyword = keyword::life}, HexInt32<"revision">,
                 UInt32<"vmcs_bytes">, Text<"memory_type">, Text<"true_controls">, HexInt64<"at">>;
using VmxInstructionFailed =
    trace::Event<"VmxInstructionFailed", {.level = Level::error, .keyword = keyword::failures},
                 Text<"instruction">, Text<"result">, UInt32<"error_number">, Text<"error">>;
using Failure = trace::Event<"Failure", {.level = Level::error, .keyword = keyword::failures},
                             Text<"step">, HexInt32<"number">, Text<"rule">, Text<"remedy">>;

/// `SDM 3C 24.11.5 VMXON Region`
class RuleText {
public:
    explicit RuleText(const vmx::Citation& rule) {
        for (const char* part : {"SDM ", rule.volume, " ", rule.section, " ", rule.title}) {
            for (; *part != '\0' && used_ + 1 < text_.size(); ++part) {
                text_[used_++] = *part;
            }
        }
        text_[used_] = '\0';
    }
    [[nodiscard]] const char* text() const { return text_.data(); }

private:
    std::array<char, 160> text_;
    std::size_t used_{};
};

}  // namespace

TraceProvider::TraceProvider(const AtPassiveLevel&) {
    if (EtwRegister(reinterpret_cast<const GUID*>(&guid), nullptr, nullptr, &handle_) !=
        STATUS_SUCCESS) {
        handle_ = 0;
        return;
    }
    // Before it knows the traits Windows does not look at the types of an event's pieces, and would
    // take the metadata for data. [Windows: EVENT_INFO_CLASS enumeration]
    static_cast<void>(EtwSetInformation(handle_, EventProviderSetTraits,
                                        const_cast<std::uint8_t*>(traits.data()),
                                        static_cast<ULONG>(traits.size())));
}

TraceProvider::~TraceProvider() {
    if (handle_ != 0) {
        EtwUnregister(handle_);
    }
}

void TraceProvider::write(const trace::EventLayout& event, const std::uint64_t* slots,
                          std::size_t count) const {
    if (handle_ == 0) {
        return;
    }
    std::array<trace::DataDescriptor, most_pieces + 2> pieces;
    trace::describe(traits, event, {slots, count}, pieces);
    // Whether a session took it is nothing that a driver can do anything about.
    EtwWriteTransfer(handle_, reinterpret_cast<const EVENT_DESCRIPTOR*>(&event.descriptor), nullptr,
                     nullptr, static_cast<ULONG>(count + 2),
                     reinterpret_cast<EVENT_DATA_DESCRIPTOR*>(pieces.data()));
}

void trace_supported(const TraceProvider& provider, const vmx::VmxBasic& basic, std::uint64_t at) {
    provider.write<Supported>(static_cast<std::uint32_t>(basic.revision_identifier),
                              static_cast<std::uint32_t>(basic.region_bytes), "write-back",
                              basic.has_true_controls != 0 ? "yes" : "no", at);
}

void trace_failure(const TraceProvider& provider, const vmx::Failure& failure) {
    const vmx::Explanation& why = *failure.why;
    if (failure.result != arch::VmxResult::succeed) {
        const bool has_number = failure.result == arch::VmxResult::fail_valid;
        provider.write<VmxInstructionFailed>(
            why.step, has_number ? "VMfailValid" : "VMfailInvalid", failure.error_number,
            has_number ? vmx::instruction_error_name(failure.error_number) : "");
    }
    const RuleText rule{why.rule};
    provider.write<Failure>(why.step, failure.number, rule.text(), why.remedy);
}

}  // namespace hvp::windows
