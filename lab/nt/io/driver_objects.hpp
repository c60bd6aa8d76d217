// Makes the objects for one load of a driver.
#pragma once

#include <string_view>

#include "lab/nt/io/driver_object.hpp"
#include "lab/nt/ldr/module.hpp"

namespace hvp::lab::io {

/// Everything that the I/O manager allocates for one load; freed at its end.
class DriverObjects {
public:
    DriverObjects(const ldr::Module& module, std::string_view service);
    ~DriverObjects();
    DriverObjects(const DriverObjects&) = delete;
    DriverObjects& operator=(const DriverObjects&) = delete;

    [[nodiscard]] DriverObject* driver_object() const { return object_; }
    [[nodiscard]] rtl::UnicodeString* registry_path() const { return registry_path_; }

    /// The path is the driver's only during DriverEntry: afterwards an access to it faults.
    void free_registry_path();

private:
    DriverObject* object_{};
    DriverExtension* extension_{};
    LoaderEntry* loader_entry_{};
    rtl::UnicodeString* registry_path_{};
};

}  // namespace hvp::lab::io
