// Two tables, of objects and of handles, and one lock for both.
#include "lab/nt/ob/object.hpp"

#include <algorithm>
#include <array>

#include "lab/nt/examiner/rules.hpp"
#include "lab/nt/ke/lock.hpp"

namespace hvp::lab::ob {
namespace {

struct HandleEntry {
    Object* object{};
    std::uint64_t opened_by{};
    bool kernel{};
};

constexpr std::size_t most_objects = 512;
constexpr std::size_t most_handles = 512;

// Handles are multiples of 4, and 0 is not a handle. Kernel handles have all upper bits set.
constexpr Handle handle_step = 4;
constexpr Handle kernel_bits = 0xFFFF'FFFF'8000'0000;

constinit std::array<Object, most_objects> objects{};
constinit std::array<HandleEntry, most_handles> handles{};
constinit ke::Lock tables{};

HandleEntry* entry_of(Handle handle) {
    const bool kernel = (handle & kernel_bits) == kernel_bits;
    const Handle plain = kernel ? handle & ~kernel_bits : handle;
    const Handle index = plain / handle_step - 1;  // the lowest two bits do not count
    if (plain < handle_step || index >= most_handles) {
        return nullptr;
    }
    HandleEntry& entry = handles[index];
    return entry.object != nullptr && entry.kernel == kernel ? &entry : nullptr;
}

void report_left(const HandleEntry& entry) {
    rtl::Sentence detail{"a handle of a "};
    detail.put(entry.object->type->name).put(" is still open");
    examiner::report_finding("HandleLeftOpen", detail, examiner::no_verifier_code, entry.opened_by);
}

void report_left(const Object& object) {
    rtl::Sentence detail;
    detail.decimal(static_cast<std::uint64_t>(object.driver_references));
    detail.put(" references to a ").put(object.type->name).put(" were not released");
    examiner::report_finding("ReferenceLeft", detail, examiner::no_verifier_code,
                             object.last_referenced_by);
}

}  // namespace

Object* make_object(const ObjectType& type, void* body) {
    const ke::Locked locked{tables};
    auto* const free = std::ranges::find(objects, nullptr, &Object::body);
    if (free == objects.end()) {
        return nullptr;
    }
    *free = {.body = body, .type = &type, .references = 1};
    return free;
}

Object* find_object(const void* body) {
    if (body == nullptr) {
        return nullptr;
    }
    const ke::Locked locked{tables};
    auto* const found = std::ranges::find(objects, body, &Object::body);
    return found != objects.end() ? found : nullptr;
}

void reference(Object& object) {
    const ke::Locked locked{tables};
    ++object.references;
}

void dereference(Object& object) {
    Object last{};
    {
        const ke::Locked locked{tables};
        if (--object.references == 0) {
            last = object;
            object = {};
        }
    }
    if (last.body != nullptr && last.type->last_reference_gone != nullptr) {
        last.type->last_reference_gone(last.body);
    }
}

void reference_for_driver(Object& object, std::uint64_t caller) {
    const ke::Locked locked{tables};
    ++object.references;
    ++object.driver_references;
    object.last_referenced_by = caller;
}

void dereference_for_driver(Object& object) {
    {
        const ke::Locked locked{tables};
        --object.driver_references;
    }
    dereference(object);
}

Handle open_handle(Object& object, bool kernel, std::uint64_t opened_by) {
    const ke::Locked locked{tables};
    auto* const free = std::ranges::find(handles, nullptr, &HandleEntry::object);
    if (free == handles.end()) {
        return 0;
    }
    *free = {.object = &object, .opened_by = opened_by, .kernel = kernel};
    ++object.references;
    const auto index = static_cast<Handle>(free - handles.begin());
    return (index + 1) * handle_step | (kernel ? kernel_bits : 0);
}

Object* object_of(Handle handle) {
    const ke::Locked locked{tables};
    const HandleEntry* const entry = entry_of(handle);
    return entry != nullptr ? entry->object : nullptr;
}

bool close_handle(Handle handle) {
    Object* object = nullptr;
    {
        const ke::Locked locked{tables};
        HandleEntry* const entry = entry_of(handle);
        if (entry == nullptr) {
            return false;
        }
        object = entry->object;
        *entry = {};
    }
    dereference(*object);
    return true;
}

void report_left_references() {
    for (std::size_t i = 0; i < most_handles; ++i) {
        if (handles[i].object != nullptr) {
            report_left(handles[i]);
            const Handle kernel = handles[i].kernel ? kernel_bits : 0;
            static_cast<void>(close_handle((i + 1) * handle_step | kernel));
        }
    }
    for (Object& object : objects) {
        if (object.driver_references > 0) {
            report_left(object);
        }
        while (object.driver_references > 0) {
            dereference_for_driver(object);
        }
    }
}

}  // namespace hvp::lab::ob
