#include "tool/story/ept_sentences.hpp"

#include <fmt/format.h>

namespace hvp::tool {
namespace {

using Steps = std::vector<StoryStep>;

/// The address's place in the driver, or the address itself.
std::string place(const AddressNames& names, const Event& event) {
    return names.module_and_offset(event.number("guest_linear"));
}

// The guest's own tables are pages like others, and are met on the way to what it wants.
bool is_table(std::string_view role) {
    return role.ends_with("table") && role != "descriptor table";
}

std::string page_words(const AddressNames& names, const Event& event, std::string_view role) {
    if (is_table(role) || role == "page directory") {
        return fmt::format("{} on the way to {}", role, place(names, event));
    }
    return fmt::format("{} {}", role, place(names, event));
}

Steps before_launch(const AddressNames& names, const Event& event) {
    if (event.name == "EptSupported") {
        return {
            {"driver",
             fmt::format("EPT present: {} physical address bits; execute-only pages {}, pages of "
                         "2 MB {}, of 1 GB {}, accessed and dirty flags {}",
                         event.text("physical_address_bits"), event.text("execute_only"),
                         event.text("pages_2_mb"), event.text("pages_1_gb"),
                         event.text("accessed_and_dirty")),
             "SDM 3D A.10"}};
    }
    if (event.name == "EptNeededPage") {
        return {{"driver",
                 fmt::format("the guest needs {} {} {}", event.text("guest_physical"),
                             event.text("rights"), page_words(names, event, event.text("role")))}};
    }
    if (event.name == "GuestBegins") {
        return {{"driver", fmt::format("a guest begins with {}: EPT of {} bytes",
                                       event.text("with"), grouped(event.number("bytes")))}};
    }
    return {};
}

Steps proof(const Event& event) {
    if (event.name == "EmptyEptProof") {
        return {{"guest", fmt::format("met {} EPT violations, {} predicted, {} in the predicted "
                                      "order; the function answered {}",
                                      event.text("violations"), event.text("predicted"),
                                      event.text("in_order"), event.text("answer"))}};
    }
    if (event.name == "EptCost") {
        return {
            {"driver", fmt::format("{} pages take tables of {} bytes; the least possible are {}",
                                   event.text("pages"), grouped(event.number("table_bytes")),
                                   grouped(event.number("least_table_bytes")))}};
    }
    if (event.name == "RedirectProof") {
        return {{"guest",
                 fmt::format("called one function: {}, redirected {}, put back {}",
                             event.text("before"), event.text("redirected"), event.text("after"))}};
    }
    if (event.name == "SplitProof") {
        const StoryStep guest{
            "guest",
            event.number("possible") == 0
                ? fmt::format("was shown no second page, as this processor has no execute-only "
                              "ones; the function answered {}",
                              event.text("call_after"))
                : fmt::format("read the function's own bytes in {} of {} reads, and executed the "
                              "other one in {} of {} calls; joined again {}",
                              event.text("reads_right"), event.text("reads"),
                              event.text("calls_elsewhere"), event.text("calls"),
                              event.text("call_after"))};
        return {guest,
                {"driver", fmt::format("changed the page {} times, with INVEPT after {}; {} of the "
                                       "changes at an EPT violation",
                                       event.text("edits"), event.text("invalidations"),
                                       event.text("violations"))}};
    }
    if (event.name == "OutsideProof") {
        return {{"guest",
                 fmt::format("wanted guest-physical {}, and got {}", event.text("guest_physical"),
                             event.number("came_back") == 0 ? "nothing" : "it")}};
    }
    return {};
}

}  // namespace

std::vector<StoryStep> ept_event(const AddressNames& names, const Event& event) {
    if (event.name == "EptViolation") {
        return {{"driver",
                 fmt::format("{} of {}: {}", event.text("access"),
                             page_words(names, event, event.text("page")), event.text("answer"))}};
    }
    if (event.name == "EptMisconfiguration") {
        return {{"driver",
                 fmt::format("the entry {} of level {}, number {} of the table at {}, "
                             "cannot be used: {}",
                             event.text("entry"), event.text("level"), event.text("index"),
                             event.text("table"), event.text("rule")),
                 "SDM 3C 28.2.3.1"}};
    }
    Steps steps = before_launch(names, event);
    return steps.empty() ? proof(event) : steps;
}

}  // namespace hvp::tool
