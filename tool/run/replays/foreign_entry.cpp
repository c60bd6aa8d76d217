#include "tool/run/replays/foreign_entry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "hypervisor/vmcs/names/field_names.hpp"
#include "tool/explain/dumps/vmcs_dump.hpp"
#include "tool/run/replays/source_places.hpp"

namespace hvp::tool {
namespace {

using vmx::checks::Fact;
using vmx::checks::Item;

// The emulator's debugger has sixteen watch points; a screen has room for fewer rules.
constexpr std::size_t most_watched = 8;
// Writes to watched fields that are looked at. Drivers clear the page and write a field once or
// twice.
constexpr unsigned most_writes = 64;

std::string stop_before(const FailedEntry& failed) {
    return fmt::format("sba {}\nc\n", failed.t);
}

// What the debugger has shown before and after the instruction.
VmcsImage image_at(const FailedEntry& failed, const lab::DebuggerStop& before,
                   const lab::DebuggerStop& after) {
    VmcsImage image;
    const ReplayedVmcs vmcs{before, failed.vmcs};
    for (const vmx::FieldFacts& field : vmx::field_facts) {
        if (const auto value = vmcs.find(field.encoding)) {
            image.set({Item::Kind::field, field.encoding}, *value);
        }
    }
    // Of these the instruction's own answer counts, not what was there before.
    const ReplayedVmcs answer{after, failed.vmcs};
    constexpr std::uint64_t carry_flag = 1;
    constexpr std::uint64_t zero_flag = 1 << 6;
    const std::uint64_t flags = after.find("eflags").value_or(0);
    const auto set = [&](std::uint32_t encoding, std::uint64_t value) {
        image.set({Item::Kind::field, encoding}, value);
    };
    const std::uint64_t reason = answer.read(vmx::exit_reason);
    const bool by_exit = (reason >> 31 & 1) != 0;
    const bool by_error = !by_exit && (flags & zero_flag) != 0;
    set(vmx::exit_reason.encoding, by_exit ? reason : 0);
    set(vmx::exit_qualification.encoding, by_exit ? answer.read(vmx::exit_qualification) : 0);
    set(vmx::vm_instruction_error.encoding, by_error ? answer.read(vmx::vm_instruction_error) : 0);
    constexpr std::uint64_t launch_state = 8;
    image.set(vmx::checks::item(Fact::is_launched),
              before.memory(failed.vmcs + launch_state, 4).value_or(0));
    image.set(vmx::checks::item(Fact::by_vmresume), failed.is_resume ? 1 : 0);
    image.set(vmx::checks::item(Fact::has_current_vmcs), (flags & carry_flag) == 0 ? 1 : 0);
    image.set(vmx::checks::item(Fact::current_vmcs_pointer), failed.vmcs);
    return image;
}

// What rules want to know of the machine's memory: asked for in more replays, as one answer may
// lead to the next question.
class Memory {
public:
    Memory(const FailedEntry& failed, const ReplayOfRun& replay)
        : failed_{failed}, replay_{replay} {}

    void add_to(VmcsImage& image, const ModelProcessor& processor) {
        constexpr unsigned most_rounds = 6;
        for (unsigned round = 0; round < most_rounds; ++round) {
            const Judged judged{image, processor, ModelIs::known};
            const std::vector<std::uint64_t> places = missing(explain_image(judged));
            ask_for(places);
            const std::size_t before = image.values().size();
            for (const std::uint64_t place : places) {
                if (const auto value = known_.memory(place, 8)) {
                    image.set({Item::Kind::memory, place}, *value);
                }
            }
            if (image.values().size() == before) {
                return;
            }
        }
    }

private:
    static std::vector<std::uint64_t> missing(const Explanation& explanation) {
        std::vector<std::uint64_t> places;
        for (const UncheckedRule& rule : explanation.unchecked) {
            for (const Item item : rule.missing) {
                if (item.kind == Item::Kind::memory) {
                    places.push_back(item.number);
                }
            }
        }
        return places;
    }
    void ask_for(const std::vector<std::uint64_t>& places) {
        std::string commands;
        for (const std::uint64_t place : places) {
            if (!known_.memory(place, 8)) {
                commands += fmt::format("xp /128wx {:#x}\n", place & ~std::uint64_t{3});
            }
        }
        if (commands.empty()) {
            return;
        }
        for (const lab::DebuggerStop& stop : replay_(stop_before(failed_) + commands)) {
            known_.words.insert(stop.words.begin(), stop.words.end());
        }
    }

    const FailedEntry& failed_;
    const ReplayOfRun& replay_;
    lab::DebuggerStop known_;
};

// Where the driver wrote the fields that broken rules are about, the last time before it failed.
class Writers {
public:
    Writers(const FailedEntry& failed, const ReplayOfRun& replay, const SourcePlaces& places,
            const Explanation& explanation) {
        std::vector<std::uint64_t> watched;
        std::string commands;
        for (const BrokenRule& broken : explanation.broken) {
            const auto items = broken.rule->items.all();
            const auto offset =
                items.empty() || items.front().kind != Item::Kind::field
                    ? std::nullopt
                    : lab::vmcs_offset(static_cast<std::uint32_t>(items.front().number));
            if (offset && watched.size() < most_watched) {
                watched.push_back(failed.vmcs + *offset);
                commands += fmt::format("watch w {:#x}\n", watched.back());
            }
        }
        if (watched.empty()) {
            return;
        }
        commands += fmt::format("sba {}\n", failed.t);
        for (unsigned i = 0; i < most_writes; ++i) {
            commands += "c\nregs\n";
        }
        take_last_writes(replay(commands), failed, places);
    }

    [[nodiscard]] std::string place_of(const FailedEntry& failed, Item item) const {
        const auto offset = item.kind == Item::Kind::field
                                ? lab::vmcs_offset(static_cast<std::uint32_t>(item.number))
                                : std::nullopt;
        const auto found = offset ? places_.find(failed.vmcs + *offset) : places_.end();
        return found == places_.end() ? "" : found->second;
    }

private:
    void take_last_writes(const std::vector<lab::DebuggerStop>& stops, const FailedEntry& failed,
                          const SourcePlaces& places) {
        constexpr std::string_view watch_point = "write watch point at 0x";
        std::map<std::uint64_t, std::uint64_t> writers;  // address, RIP behind the instruction
        bool all_seen = false;
        for (const lab::DebuggerStop& stop : stops) {
            all_seen = all_seen || stop.tick >= failed.t;
            if (stop.tick < failed.t && stop.why.starts_with(watch_point)) {
                const std::uint64_t address =
                    std::stoull(stop.why.substr(watch_point.size()), nullptr, 16);
                writers[address] = stop.find("rip").value_or(0);
            }
        }
        if (!all_seen) {
            return;  // more writes than we look at: the last one is not known
        }
        for (const auto& [address, rip] : writers) {
            if (places.is_vmwrite_before(rip)) {
                places_[address] = places.place_before(rip);
            }
        }
    }

    std::map<std::uint64_t, std::string> places_;
};

}  // namespace

std::optional<FailedEntry> last_failed_entry(const Timeline& timeline) {
    std::optional<FailedEntry> failed;
    FailedEntry attempt;
    for (const Event& event : timeline.events()) {
        if (event.from != "processor") {
            continue;
        }
        if (event.name == "VmLaunch" || event.name == "VmResume") {
            attempt = {.t = event.t,
                       .vmcs = event.number("vmcs"),
                       .is_resume = event.name == "VmResume",
                       .text = {}};
        } else if (event.name == "EntryFailure" ||
                   (event.name == "VmFail" && event.t == attempt.t)) {
            failed = attempt;
            failed->t = event.t;
            failed->text = event.text("text");
        }
    }
    return failed;
}

std::optional<EntryFailure> explain_replayed_entry(const FailedEntry& failed,
                                                   const ReplayOfRun& replay,
                                                   const DriverImage& driver,
                                                   const std::string& model, std::size_t width) {
    const auto processor = ModelProcessor::of(model);
    const auto stops = replay(stop_before(failed) + "regs\n" + show_vmcs(failed.vmcs) +
                              "s\nregs\n" + show_vmcs(failed.vmcs));
    // The debugger says "Next at" at the reset, at the breakpoint, and after the one step.
    constexpr std::size_t expected = 3;
    if (!processor || stops.size() < expected || stops[1].tick != failed.t) {
        return std::nullopt;
    }
    VmcsImage image = image_at(failed, stops[1], stops[2]);
    Memory{failed, replay}.add_to(image, *processor);
    const Judged judged{image, *processor, ModelIs::known};
    const Explanation explanation = explain_image(judged);
    const SourcePlaces places{driver.file, driver.base};
    const Writers writers{failed, replay, places, explanation};
    const ExplanationStyle style{.model = model, .width = width, .where_set = [&](Item item) {
                                     return writers.place_of(failed, item);
                                 }};
    const std::string instruction = failed.is_resume ? "VMRESUME" : "VMLAUNCH";
    const std::uint64_t rip = stops[1].find("rip").value_or(0);
    std::string text = fmt::format("{} at {}. The processor's log says: {}\n", instruction,
                                   places.place_at(rip), failed.text);
    text += explanation_text(judged, explanation, style);
    Json json = explanation_json(judged, explanation, style);
    json["instruction"] = instruction;
    json["rip"] = fmt::format("{:#x}", rip);
    json["processor"] = failed.text;
    return EntryFailure{
        .dump = write_dump(image), .text = std::move(text), .json = std::move(json)};
}

}  // namespace hvp::tool
