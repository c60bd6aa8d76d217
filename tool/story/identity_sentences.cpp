#include "tool/story/identity_sentences.hpp"

#include <fmt/format.h>

namespace hvp::tool {
namespace {

using Steps = std::vector<StoryStep>;

Steps before_launch(const Event& event) {
    if (event.name == "IdentityMapped") {
        return {
            {"driver",
             fmt::format("maps {} address bits to themselves: {} pages of 1 GB, {} of 2 MB, {} "
                         "of 4 KB; {} tables, {} bytes",
                         event.text("physical_address_bits"), grouped(event.number("pages_1_gb")),
                         grouped(event.number("pages_2_mb")), grouped(event.number("pages_4_kb")),
                         grouped(event.number("tables")), grouped(event.number("bytes"))),
             "SDM 3A 11.11.9"}};
    }
    if (event.name == "VmmHidden") {
        return {{"driver", fmt::format("hides {} pages of its own: one page of zeroes in their "
                                       "place; {} tables now",
                                       event.text("pages"), grouped(event.number("tables")))}};
    }
    if (event.name == "GuestFeatures") {
        return {{"driver", fmt::format("the guest: VPID {}, single steps by {}, accessed and dirty "
                                       "flags {}, log of written pages {}",
                                       event.text("vpid"), event.text("step"),
                                       event.text("accessed_and_dirty"), event.text("write_log"))}};
    }
    return {};
}

Steps faces(const Event& event) {
    if (event.name == "InterruptProof") {
        return {{"guest", event.number("clock_ticked") != 0
                              ? "ran with interrupts on, and the clock's was handled in it"
                              : "waited for the clock's interrupt, which did not come"}};
    }
    if (event.name == "FacesProof") {
        return {{"guest", fmt::format("read the function's own bytes in {} of {} reads, and "
                                      "executed the other one in {} of {} calls",
                                      event.text("reads_right"), event.text("reads"),
                                      event.text("calls_elsewhere"), event.text("calls"))},
                {"guest", fmt::format("an instruction of the page read the page itself: {}, in {} "
                                      "single step",
                                      event.text("self_read"), event.text("steps"))}};
    }
    if (event.name == "WriteProof") {
        return {{"guest", fmt::format("wrote to the page: {}; a call still gave {}",
                                      event.number("read_back") != 0 ? "it reads back what it wrote"
                                                                     : "the write is lost",
                                      event.text("call"))},
                {"guest",
                 fmt::format(
                     "one face again: a call gave {}, the page reads {}", event.text("call_after"),
                     event.number("as_before") != 0 ? "as before" : "otherwise than before")}};
    }
    return {};
}

Steps memory(const Event& event) {
    if (event.name == "CutProof") {
        return {{"driver",
                 fmt::format("cut a page of {} bytes: {} parts as they were; {}; INVEPT {} times",
                             grouped(event.number("bytes")), event.text("parts_right"),
                             event.number("whole_again") != 0 ? "whole again" : "not whole again",
                             event.text("invalidations"))}};
    }
    if (event.name == "PageTouched") {
        return {{"driver", fmt::format("watched page {}: flags {}; log {}", event.text("page"),
                                       event.text("flags"), event.text("log"))}};
    }
    if (event.name == "HiddenProof") {
        return {{"guest",
                 fmt::format("looked at the VMM's memory: {} words, {} of them not zero",
                             grouped(event.number("words")), grouped(event.number("not_zero")))}};
    }
    if (event.name == "MtrrFollowed") {
        return {
            {"driver", fmt::format("follows MTRR {:#x} = {}: {} is {}, {} tables",
                                   event.number("msr"), event.text("value"), event.text("range"),
                                   event.text("type"), grouped(event.number("tables")))}};
    }
    return {};
}

}  // namespace

std::vector<StoryStep> identity_event(const AddressNames& names, const Event& event) {
    if (event.name == "ViewChanged") {
        return {{"driver", fmt::format("{} of {}: {} view", event.text("access"),
                                       names.module_and_offset(event.number("guest_linear")),
                                       event.text("view"))}};
    }
    for (Steps (*const part)(const Event&) : {before_launch, faces, memory}) {
        if (Steps steps = part(event); !steps.empty()) {
            return steps;
        }
    }
    return {};
}

}  // namespace hvp::tool
