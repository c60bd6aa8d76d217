#include "tool/record/told_exits.hpp"

#include <vector>

namespace hvp::tool {
namespace {

struct Processor {
    std::vector<const Event*> claims;  ///< the driver's
    std::size_t next_claim = 0;
    ToldExit* open = nullptr;  ///< an exit that waits for its entry
    std::uint64_t exit_at = 0;
};

bool same(const Event& logged, const Event& claimed) {
    return logged.number("reason_number") == claimed.number("reason_number", ~0ULL) &&
           logged.number("qualification") == claimed.number("qualification", ~0ULL);
}

}  // namespace

ToldExits::ToldExits(const Timeline& timeline) {
    std::map<unsigned, Processor> processors;
    for (const Event& event : timeline.events()) {
        if (event.is("driver", "VmExit") && event.fields.contains("handler")) {
            processors[event.cpu].claims.push_back(&event);
        }
    }
    for (const Event& event : timeline.events()) {
        Processor& processor = processors[event.cpu];
        if (event.is("processor", "VmExit")) {
            processor.open = nullptr;
            const std::size_t claim = processor.next_claim++;
            if (claim < processor.claims.size() && same(event, *processor.claims[claim])) {
                processor.open = &exits_[&event];
                processor.open->driver = processor.claims[claim];
                processor.exit_at = event.t;
                held_.insert(processor.claims[claim]);
            }
        } else if (event.is("processor", "VmEntry") && processor.open != nullptr) {
            processor.open->ticks = event.t - processor.exit_at;
            processor.open = nullptr;
            held_.insert(&event);
        } else if (event.from == "processor" && event.name != "VmResume") {
            processor.open = nullptr;
        }
    }
}

const ToldExit* ToldExits::about(const Event& exit) const {
    const auto found = exits_.find(&exit);
    return found == exits_.end() ? nullptr : &found->second;
}

}  // namespace hvp::tool
