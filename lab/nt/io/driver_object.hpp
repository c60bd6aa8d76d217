// What a driver gets from the I/O manager.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lab/nt/rtl/nt_types.hpp"

namespace hvp::lab::io {

struct DriverObject;

/// [Windows: DRIVER_EXTENSION]
struct DriverExtension {
    DriverObject* driver_object{};
    void* add_device{};
    std::uint32_t count{};
    rtl::UnicodeString service_key_name{};
};
static_assert(offsetof(DriverExtension, service_key_name) == 0x18);

/// [Windows: DRIVER_OBJECT]
struct DriverObject {
    std::int16_t type{4};
    std::int16_t size{0x150};
    void* device_object{};
    std::uint32_t flags{};
    void* driver_start{};
    std::uint32_t driver_size{};
    void* driver_section{};
    DriverExtension* driver_extension{};
    rtl::UnicodeString driver_name{};
    rtl::UnicodeString* hardware_database{};
    void* fast_io_dispatch{};
    void* driver_init{};
    void* driver_start_io{};
    void* driver_unload{};
    std::array<void*, 28> major_function{};
};
static_assert(sizeof(DriverObject) == 0x150);
static_assert(offsetof(DriverObject, driver_section) == 0x28);
static_assert(offsetof(DriverObject, driver_unload) == 0x68);
static_assert(offsetof(DriverObject, major_function) == 0x70);

/// KLDR_DATA_TABLE_ENTRY, which DriverSection points to.  [Windows: public symbols]
struct LoaderEntry {
    rtl::ListEntry in_load_order{};
    void* exception_table{};
    std::uint32_t exception_table_bytes{};
    std::array<void*, 2> unused_20{};
    void* dll_base{};
    void* entry_point{};
    std::uint32_t image_bytes{};
    rtl::UnicodeString full_dll_name{};
    rtl::UnicodeString base_dll_name{};
    std::uint32_t flags{};
};
static_assert(offsetof(LoaderEntry, dll_base) == 0x30);
static_assert(offsetof(LoaderEntry, image_bytes) == 0x40);
static_assert(offsetof(LoaderEntry, full_dll_name) == 0x48);
static_assert(offsetof(LoaderEntry, base_dll_name) == 0x58);

}  // namespace hvp::lab::io
