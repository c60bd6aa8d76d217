#include "tool/story/injection_sentences.hpp"

#include <fmt/format.h>

namespace hvp::tool {
namespace {

std::string caught_by_except(const AddressNames& names, const Event& event) {
    const bool ran = event.text("answer") == "0xbb";
    const bool there = event.text("address") == event.text("instruction_rip");
    return fmt::format(
        "{} in __try: {}, code {}, at {}", event.text("instruction"),
        ran ? "__except has run" : "no __except has run", event.text("code"),
        there ? "the instruction" : names.module_and_offset(event.number("address")));
}

std::string found_by_handler(const Event& event) {
    const std::string name = event.text("instruction");
    if (event.number("handlers") != 1) {
        return fmt::format("{}: handlers ran {} times", name, event.text("handlers"));
    }
    const auto behind =
        static_cast<std::int64_t>(event.number("rip") - event.number("instruction_rip"));
    constexpr unsigned resume_flag = 16;
    constexpr std::uint64_t invalid_opcode = 6;
    constexpr std::uint64_t general_protection = 13;
    const std::string raised =
        event.number("vector") == general_protection
            ? fmt::format("#GP({})", event.number("error_code"))
            : (event.number("vector") == invalid_opcode ? "#UD"
                                                        : "exception " + event.text("vector"));
    return fmt::format(
        "{} raised {}: RIP {}, RF {}, RSP {}", name, raised,
        behind == 0 ? "at the instruction" : fmt::format("{} bytes behind it", behind),
        event.number("rflags") >> resume_flag & 1,
        event.text("rsp") == event.text("rsp_before") ? "as before" : event.text("rsp"));
}

}  // namespace

std::vector<StoryStep> injection_event(const AddressNames& names, const Event& event) {
    if (event.name == "ExceptCaught") {
        return {{"guest", caught_by_except(names, event)}};
    }
    if (event.name == "HandlerFrame") {
        return {{"guest", found_by_handler(event)}};
    }
    if (event.name == "InjectionProof") {
        return {
            {"guest", fmt::format("{} of {} as on a processor outside VMX operation; in __except: "
                                  "{}; CPUID and CR4 hide VT-x: {}",
                                  event.text("right"), event.text("tried"), event.text("except"),
                                  event.text("hidden"))}};
    }
    return {};
}

}  // namespace hvp::tool
