// Objects that Windows counts references to: processes, threads, keys, callbacks.
//
// Windows puts a header before each object. Here the record of an object is kept apart from it, so
// that a pointer to something else is detected.
#pragma once

#include <cstdint>
#include <string_view>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::ob {

/// A kind of object. Its address is a driver's POBJECT_TYPE.
struct ObjectType {
    std::string_view name{};
    void (*last_reference_gone)(void* body){};  ///< null: nothing to do
};

/// The record of one object.
struct Object {
    void* body{};  ///< what a driver has a pointer to; null: this record is free
    const ObjectType* type{};
    std::uint64_t references{};        ///< handles count too
    std::int64_t driver_references{};  ///< of these, what the driver took and has not dereferenced
    std::uint64_t last_referenced_by{};  ///< the address from which the driver did so last
};

using Handle = std::uint64_t;

/// Registers memory as an object. The caller has the first reference.
///
/// Returns  null if there are too many objects
[[nodiscard]] Object* make_object(const ObjectType& type, void* body);

/// The object with its body at that address, or null.
[[nodiscard]] Object* find_object(const void* body);

/// One reference more, or one less; the last one ends the object.
///
/// Where    at most DISPATCH_LEVEL
void reference(Object& object);
void dereference(Object& object);

/// The same on behalf of the driver: references left at its end are reported.
void reference_for_driver(Object& object, std::uint64_t caller);
void dereference_for_driver(Object& object);

/// A handle, which holds a reference of its own.
///
/// Needs    `kernel` for OBJ_KERNEL_HANDLE  [Windows: OBJECT_ATTRIBUTES structure]
/// Returns  0 if there are too many handles
[[nodiscard]] Handle open_handle(Object& object, bool kernel, std::uint64_t opened_by);

/// The object of a handle, or null. Takes no reference.
[[nodiscard]] Object* object_of(Handle handle);

/// False: there is no such handle.
[[nodiscard]] bool close_handle(Handle handle);

/// Reports handles and references that the driver still has, and releases them.
///
/// Where    after the driver's last call, before its image is unmapped
void report_left_references();

}  // namespace hvp::lab::ob
