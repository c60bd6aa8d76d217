#include "tool/run/recorded_options.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

namespace hvp::tool {
namespace {

// Looks values up, and remembers whether one was missing or of another kind.
class Reader {
public:
    explicit Reader(const Json& object) : object_{object} {}

    template <typename Number>
    [[nodiscard]] Number number(const char* key) {
        const Json* value = find(key);
        const bool fits = value != nullptr && value->is_number_unsigned() &&
                          value->get<std::uint64_t>() <= std::numeric_limits<Number>::max();
        complete_ &= fits;
        return fits ? value->get<Number>() : Number{};
    }
    [[nodiscard]] bool flag(const char* key) {
        const Json* value = find(key);
        const bool fits = value != nullptr && value->is_boolean();
        complete_ &= fits;
        return fits && value->get<bool>();
    }
    [[nodiscard]] std::string text(const char* key) {
        const Json* value = find(key);
        const bool fits = value != nullptr && value->is_string();
        complete_ &= fits;
        return fits ? value->get<std::string>() : "";
    }
    [[nodiscard]] bool is_null(const char* key) const {
        const Json* value = find(key);
        return value != nullptr && value->is_null();
    }
    [[nodiscard]] bool is_complete() const { return complete_; }

private:
    [[nodiscard]] const Json* find(const char* key) const {
        const auto found = object_.find(key);
        return found == object_.end() ? nullptr : &*found;
    }

    const Json& object_;
    bool complete_ = true;
};

const Json* object_at(const Json& summary, const char* key) {
    const auto found = summary.find(key);
    return found != summary.end() && found->is_object() ? &*found : nullptr;
}

}  // namespace

Json options_json(const RunOptions& options) {
    const auto* const firmware =
        std::ranges::find(firmware_settings, options.firmware_vmx, &FirmwareSetting::value);
    return {{"driver",
             options.driver ? Json(std::filesystem::absolute(*options.driver).string()) : Json()},
            {"processor", options.processor ? Json(*options.processor) : Json()},
            {"firmware_vmx", firmware->name},
            {"timeout_ticks", options.timeout_ticks},
            {"seed", options.seed},
            {"loads", options.loads},
            {"fail_allocation", options.fail_allocation},
            {"odd_state", options.odd_state},
            {"processor_log", options.processor_log}};
}

std::optional<RunOptions> options_of(const Json& summary) {
    const Json* recorded = object_at(summary, "options");
    const Json* machine = object_at(summary, "machine");
    if (recorded == nullptr || machine == nullptr) {
        return std::nullopt;
    }
    RunOptions options;
    Reader of_run{summary};
    Reader of_machine{*machine};
    Reader own{*recorded};
    if (own.is_null("driver")) {
        options.stage = of_run.text("stage");
    } else {
        options.driver = own.text("driver");
    }
    if (!own.is_null("processor")) {
        options.processor = own.number<unsigned>("processor");
    }
    options.model = of_machine.text("model");
    options.cpus = of_machine.number<unsigned>("processors");
    options.memory_mib = of_machine.number<unsigned>("memory_mib");
    const std::string firmware = own.text("firmware_vmx");
    const auto* const setting =
        std::ranges::find(firmware_settings, firmware, &FirmwareSetting::name);
    options.timeout_ticks = own.number<std::uint64_t>("timeout_ticks");
    options.seed = own.number<std::uint64_t>("seed");
    options.loads = own.number<std::uint32_t>("loads");
    options.fail_allocation = own.number<std::uint64_t>("fail_allocation");
    options.odd_state = own.flag("odd_state");
    options.processor_log = own.flag("processor_log");
    if (!of_run.is_complete() || !of_machine.is_complete() || !own.is_complete() ||
        setting == firmware_settings.end()) {
        return std::nullopt;
    }
    options.firmware_vmx = setting->value;
    return options;
}

}  // namespace hvp::tool
