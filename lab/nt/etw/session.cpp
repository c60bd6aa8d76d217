// Concatenates the pieces of an event, decodes them, and reports the event.
#include "lab/nt/etw/session.hpp"

#include <algorithm>

#include "lab/nt/dbg/event.hpp"
#include "lab/nt/etw/decoder.hpp"
#include "lab/nt/etw/value.hpp"
#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/lock.hpp"

namespace hvp::lab::etw {
namespace {

/// Sessions drop what is larger.  [Windows: EventWrite]
constexpr std::size_t largest_event = 64 * 1024;

enum : std::uint8_t { data_piece = 0, event_metadata = 1, provider_traits = 2 };

// Not on the stack: an event must not use up the driver's 24 KiB stack.
constinit std::array<std::byte, largest_event> data_room{};
constinit std::array<char, 15 * 1024> members_room{};  // a line has 16 KiB
constinit ke::Lock session{};

/// An event's pieces by kind; the data is contiguous, because a value may cross a piece's boundary.
struct Pieces {
    Bytes traits{};
    Bytes metadata{};
    Bytes data{};
};

/// Touches every page of the pieces. A bad address raises an exception, which a driver's handler
/// may take: it must come before the lock is held.
void probe(std::span<const DataDescriptor> pieces) {
    constexpr std::size_t page_bytes = 4096;
    for (const DataDescriptor& piece : pieces) {
        const volatile std::byte* const start = piece.address;
        for (std::size_t at = 0; at < piece.bytes; at += page_bytes) {
            static_cast<void>(start[at]);
        }
        if (piece.bytes != 0) {
            static_cast<void>(start[piece.bytes - 1]);
        }
    }
}

Pieces put_together(const Registration& registration, std::span<const DataDescriptor> pieces) {
    Pieces all;
    std::size_t used = 0;
    for (const DataDescriptor& piece : pieces) {
        const Bytes bytes{piece.address, piece.bytes};
        switch (registration.has_typed_pieces ? piece.type : data_piece) {
            case data_piece:
                std::ranges::copy(bytes, data_room.begin() + static_cast<std::ptrdiff_t>(used));
                used += bytes.size();
                break;
            case event_metadata:
                all.metadata = bytes;
                break;
            case provider_traits:
                all.traits = bytes;
                break;
            default:
                break;  // kinds that later versions of Windows may add
        }
    }
    all.data = Bytes{data_room}.first(used);
    return all;
}

void report_broken(const Reading& reading, std::uint64_t caller) {
    constexpr std::size_t longest_name = 60;
    rtl::Sentence detail;
    if (reading.field) {
        detail.put("the field \"").put(reading.field->substr(0, longest_name)).put("\" of ");
    }
    if (reading.event.empty()) {
        detail.put("an event ");
    } else {
        detail.put("the event \"").put(reading.event.substr(0, longest_name)).put("\" ");
    }
    examiner::report_finding("TraceEventBroken", detail.put(reading.problem),
                             examiner::no_verifier_code, caller);
}

/// Reports an event that needs a manifest to be decoded: its identifiers and its size.
void report_manifest_event(const Registration& registration, const EventDescriptor& event,
                           Bytes data) {
    dbg::Event line{"EtwEvent", dbg::From::driver};
    line.line().member("provider");
    Cursor guid{registration.provider};
    static_cast<void>(write_value({.in = In::guid}, guid, line.line()));
    line.number("id", event.id)
        .number("version", event.version)
        .number("level", event.level)
        .hex("keyword", event.keyword)
        .number("data_bytes", data.size());
}

void report(const Pieces& pieces, std::uint64_t caller) {
    rtl::TextWriter members{members_room};
    dbg::JsonLine line{members};
    const Reading reading = read_event(pieces.metadata, pieces.data, line);
    if (!reading.problem.empty()) {
        return report_broken(reading, caller);
    }
    dbg::Event event{reading.event, dbg::From::driver};
    if (members.truncated()) {
        event.number("data_bytes", pieces.data.size()).boolean("truncated", true);
    } else {
        event.line().members(members.view());
    }
}

void check_traits(Bytes traits, std::uint64_t caller) {
    if (const auto name = provider_name(traits); !name) {
        rtl::Sentence detail{"the traits of a provider, which came with an event, "};
        examiner::report_finding("TraceEventBroken", detail.put(name.error()),
                                 examiner::no_verifier_code, caller);
    }
}

}  // namespace

void record(const Registration& registration, const EventDescriptor& event,
            std::span<const DataDescriptor> pieces, std::uint64_t caller) {
    std::uint64_t bytes = 0;
    for (const DataDescriptor& piece : pieces) {
        bytes += piece.bytes;
    }
    if (bytes > largest_event) {
        rtl::Sentence detail{"an event of "};
        detail.decimal(bytes).put(" bytes was written; sessions drop what is larger than 64 KiB");
        return examiner::report_finding("TraceEventLost", detail, examiner::no_verifier_code,
                                        caller);
    }
    probe(pieces);
    const ke::Locked locked{session};
    const Pieces all = put_together(registration, pieces);
    if (!all.traits.empty()) {
        check_traits(all.traits, caller);
    }
    if (all.metadata.empty()) {
        return report_manifest_event(registration, event, all.data);
    }
    report(all, caller);
}

}  // namespace hvp::lab::etw
