// ZwOpenKey, ZwQueryValueKey, on one path of keys. The last one has values.
#include "lab/nt/cm/registry.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ob/object.hpp"
#include "lab/nt/rtl/export.hpp"
#include "lab/nt/rtl/names.hpp"

namespace hvp::lab::cm {
namespace {

using namespace std::string_view_literals;

/// One key of the path: it ends after so many characters.
struct Key {
    std::size_t path_characters{};
};

constexpr std::uint32_t type_expand_text = 2;  // REG_EXPAND_SZ
constexpr std::uint32_t type_number = 4;       // REG_DWORD

/// A value of the service's key.  [Windows: HKLM\SYSTEM\CurrentControlSet\Services Registry Tree]
struct Value {
    std::u16string_view name{};
    std::uint32_t type{};
    std::span<const std::byte> data{};
};

constexpr std::u16string_view services = uR"(\Registry\Machine\System\CurrentControlSet\Services\)";
constexpr std::u16string_view drivers = uR"(\SystemRoot\System32\drivers\)";

constexpr std::uint32_t kernel_driver = 1;
constexpr std::uint32_t started_on_demand = 3;
constexpr std::uint32_t normal_error_control = 1;

constinit std::array<char16_t, 160> path{};
constinit std::size_t path_characters{};
constinit std::array<char16_t, 128> image_path{};
constinit std::array<Key, 6> keys{};
constinit std::array<Value, 4> values{};

constinit const ob::ObjectType key_type{.name = "key"sv};

std::size_t append(std::span<char16_t> text, std::size_t used, auto characters) {
    for (const auto character : characters) {
        text[used++] = static_cast<char16_t>(character);
    }
    return used;
}

std::u16string_view full_path(const Key& key) {
    return {path.data(), key.path_characters};
}

/// Writes into a buffer that may be too short, and counts what would have been written.
class Answer {
public:
    Answer(std::byte* buffer, std::uint32_t room) : buffer_{buffer}, room_{room} {}

    void put(std::span<const std::byte> bytes) {
        for (const std::byte byte : bytes) {
            if (length_ < room_) {
                buffer_[length_] = byte;
            }
            ++length_;
        }
    }
    void number(std::uint32_t value) { put(std::as_bytes(std::span{&value, 1})); }
    void text(std::u16string_view value) { put(std::as_bytes(std::span{value})); }
    void end_fixed_part() { fixed_ = length_; }

    [[nodiscard]] std::uint32_t length() const { return length_; }
    [[nodiscard]] rtl::NtStatus status() const {
        if (room_ < fixed_) {
            return rtl::status_buffer_too_small;
        }
        return room_ < length_ ? rtl::status_buffer_overflow : rtl::status_success;
    }

private:
    std::byte* buffer_;
    std::uint32_t room_;
    std::uint32_t length_{};
    std::uint32_t fixed_{};
};

enum class InformationClass : std::uint32_t { basic = 0, full = 1, partial = 2 };

std::uint32_t bytes_of(std::u16string_view text) {
    return static_cast<std::uint32_t>(text.size() * sizeof(char16_t));
}

/// [Windows: KEY_VALUE_BASIC_INFORMATION, KEY_VALUE_FULL_INFORMATION,
/// KEY_VALUE_PARTIAL_INFORMATION]
void describe(const Value& value, InformationClass form, Answer& answer) {
    const auto data_bytes = static_cast<std::uint32_t>(value.data.size());
    answer.number(0);  // title index: not used
    answer.number(value.type);
    switch (form) {
        case InformationClass::basic:
            answer.number(bytes_of(value.name));
            answer.end_fixed_part();
            return answer.text(value.name);
        case InformationClass::full: {
            constexpr std::uint32_t fixed_bytes = 20;
            answer.number(fixed_bytes + bytes_of(value.name));
            answer.number(data_bytes);
            answer.number(bytes_of(value.name));
            answer.end_fixed_part();
            answer.text(value.name);
            return answer.put(value.data);
        }
        case InformationClass::partial:
            answer.number(data_bytes);
            answer.end_fixed_part();
            return answer.put(value.data);
    }
}

/// The key of a handle. Null: the handle is not a key's, and a finding has been reported.
ob::Object* key_of(examiner::FunctionName function, ob::Handle handle, std::uint64_t caller) {
    ob::Object* const object = ob::object_of(handle);
    if (object != nullptr && object->type == &key_type) {
        return object;
    }
    rtl::Sentence detail{function};
    detail.put(" was given ").hex(handle).put(", which is no handle of a key");
    examiner::report_finding("InvalidHandle", detail, examiner::no_verifier_code, caller);
    return nullptr;
}

/// The key with that path; a relative path begins at `root`.
const Key* find(std::u16string_view root, std::u16string_view name) {
    const auto found = std::ranges::find_if(keys, [&](const Key& key) {
        std::u16string_view rest = full_path(key);
        if (!root.empty()) {
            if (!rest.starts_with(root) || rest.size() == root.size()) {
                return false;
            }
            rest.remove_prefix(root.size() + 1);
        }
        return rtl::is_same_name(rest, name);
    });
    return found != keys.end() ? found : nullptr;
}

}  // namespace

void create_registry(std::string_view service) {
    path_characters = append(path, append(path, 0, services), service);
    std::size_t length = append(image_path, 0, drivers);
    length = append(image_path, append(image_path, length, service), ".sys"sv) + 1;
    std::size_t next = 0;
    for (std::size_t i = 1; i <= path_characters; ++i) {
        if ((i == path_characters || path[i] == u'\\') && next < keys.size()) {
            keys[next] = {.path_characters = i};
            static_cast<void>(ob::make_object(key_type, &keys[next++]));
        }
    }
    values = {
        {{u"Type", type_number, std::as_bytes(std::span{&kernel_driver, 1})},
         {u"Start", type_number, std::as_bytes(std::span{&started_on_demand, 1})},
         {u"ErrorControl", type_number, std::as_bytes(std::span{&normal_error_control, 1})},
         {u"ImagePath", type_expand_text, std::as_bytes(std::span{image_path}.first(length))}}};
}

/// [Windows: ZwOpenKey]
NT_EXPORT rtl::NtStatus ZwOpenKey(ob::Handle* handle, std::uint32_t /*access*/,
                                  const rtl::ObjectAttributes* attributes) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::passive, {"ZwOpenKey", examiner::zw_irql, caller});
    *handle = 0;
    if (attributes == nullptr || attributes->name == nullptr) {
        return rtl::status_invalid_parameter;
    }
    std::u16string_view root{};
    if (attributes->root_directory != 0) {
        const ob::Object* const object = key_of("ZwOpenKey", attributes->root_directory, caller);
        if (object == nullptr) {
            return rtl::status_invalid_handle;
        }
        root = full_path(*static_cast<const Key*>(object->body));
    }
    const std::u16string_view name = rtl::view_of(*attributes->name);
    if (root.empty() && !name.starts_with(u'\\')) {
        return rtl::status_object_path_syntax_bad;
    }
    const Key* const key = find(root, name);
    if (key == nullptr) {
        return rtl::status_object_name_not_found;
    }
    const bool kernel = (attributes->attributes & rtl::object_kernel_handle) != 0;
    *handle = ob::open_handle(*ob::find_object(key), kernel, caller);
    return *handle != 0 ? rtl::status_success : rtl::status_insufficient_resources;
}

/// [Windows: ZwQueryValueKey] What does not fit is cut off, and `length` says how much there is.
NT_EXPORT rtl::NtStatus ZwQueryValueKey(ob::Handle handle, const rtl::UnicodeString* name,
                                        InformationClass form, std::byte* buffer,
                                        std::uint32_t room, std::uint32_t* length) {
    const auto caller = examiner::caller(__builtin_return_address(0));
    examiner::check_irql_at_most(ke::Irql::passive, {"ZwQueryValueKey", examiner::zw_irql, caller});
    const ob::Object* const object = key_of("ZwQueryValueKey", handle, caller);
    if (object == nullptr) {
        return rtl::status_invalid_handle;
    }
    if (form > InformationClass::partial) {
        return rtl::status_invalid_parameter;
    }
    const auto value = std::ranges::find_if(
        values, [&](const Value& one) { return rtl::is_same_name(one.name, rtl::view_of(*name)); });
    const auto& key = *static_cast<const Key*>(object->body);
    if (value == values.end() || key.path_characters != path_characters) {
        return rtl::status_object_name_not_found;
    }
    Answer answer{buffer, room};
    describe(*value, form, answer);
    *length = answer.length();
    return answer.status();
}

}  // namespace hvp::lab::cm
