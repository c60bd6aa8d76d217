// DRIVER_OBJECT, its extension, its names and the registry path, all in pool of the kernel's own.
#include "lab/nt/io/driver_objects.hpp"

#include <bit>
#include <initializer_list>
#include <new>

#include "lab/nt/ex/pool.hpp"
#include "lab/nt/ke/bugcheck.hpp"

namespace hvp::lab::io {
namespace {

constexpr std::uint32_t tag = 0x7672'4449;  // "IDrv"

void* take(std::uint64_t bytes) {
    void* block = ex::allocate({.bytes = bytes, .tag = tag, .zeroed = true});
    if (block == nullptr) {
        ke::bug_check({.code = ke::BugCheckCode::manually_initiated_crash,
                       .detail = "no memory for the driver's objects"});
    }
    return block;
}

void free_block(const void* block) {
    ex::free(*ex::find_live(std::bit_cast<std::uint64_t>(block)), 0);
}

template <typename T>
T* make() {
    return std::construct_at(static_cast<T*>(take(sizeof(T))));
}

/// Text in pool, its characters directly after the UNICODE_STRING.
rtl::UnicodeString* make_text(std::initializer_list<std::string_view> parts) {
    std::size_t length = 0;
    for (const auto part : parts) {
        length += part.size();
    }
    const auto bytes = static_cast<std::uint16_t>(length * sizeof(char16_t));
    auto* text = static_cast<rtl::UnicodeString*>(
        take(sizeof(rtl::UnicodeString) + bytes + sizeof(char16_t)));
    text->length = bytes;
    text->maximum_length = static_cast<std::uint16_t>(bytes + sizeof(char16_t));
    text->buffer = std::bit_cast<char16_t*>(text + 1);
    char16_t* next = text->buffer;
    for (const auto part : parts) {
        for (const char character : part) {
            *next++ = static_cast<char16_t>(character);
        }
    }
    return text;
}

/// Every major function of a new driver object.
/// [Windows: IRP Major Function Codes] A driver that does not set one does not support it.
rtl::NtStatus invalid_device_request(void* /*device*/, void* /*irp*/) {
    return rtl::status_invalid_device_request;
}

}  // namespace

DriverObjects::DriverObjects(const ldr::Module& module, std::string_view service)
    : object_{make<DriverObject>()},
      extension_{make<DriverExtension>()},
      loader_entry_{make<LoaderEntry>()},
      registry_path_{
          make_text({R"(\Registry\Machine\System\CurrentControlSet\Services\)", service})} {
    auto* base = std::bit_cast<std::byte*>(module.base);
    const auto exceptions = module.headers.directory(pe::DirectoryIndex::exceptions);
    loader_entry_->in_load_order = {&loader_entry_->in_load_order, &loader_entry_->in_load_order};
    loader_entry_->exception_table = base + exceptions.address;
    loader_entry_->exception_table_bytes = exceptions.size;
    loader_entry_->dll_base = base;
    loader_entry_->entry_point = base + module.headers.entry_point;
    loader_entry_->image_bytes = module.headers.image_bytes;
    loader_entry_->full_dll_name = *make_text({R"(\SystemRoot\System32\drivers\)", module.file});
    loader_entry_->base_dll_name = *make_text({module.file});
    extension_->driver_object = object_;
    extension_->service_key_name = *make_text({service});
    object_->driver_start = base;
    object_->driver_size = module.headers.image_bytes;
    object_->driver_section = loader_entry_;
    object_->driver_extension = extension_;
    object_->driver_name = *make_text({R"(\Driver\)", service});
    object_->hardware_database = make_text({R"(\REGISTRY\MACHINE\HARDWARE\DESCRIPTION\SYSTEM)"});
    object_->driver_init = base + module.headers.entry_point;
    object_->major_function.fill(std::bit_cast<void*>(&invalid_device_request));
}

void DriverObjects::free_registry_path() {
    free_block(registry_path_);
    registry_path_ = nullptr;
}

DriverObjects::~DriverObjects() {
    if (registry_path_ != nullptr) {
        free_registry_path();
    }
    // A text's characters lie directly after the UNICODE_STRING that they were made with.
    for (const rtl::UnicodeString* text :
         {&loader_entry_->full_dll_name, &loader_entry_->base_dll_name,
          &extension_->service_key_name, &object_->driver_name}) {
        free_block(std::bit_cast<const rtl::UnicodeString*>(text->buffer) - 1);
    }
    free_block(object_->hardware_database);
    free_block(loader_entry_);
    free_block(extension_);
    free_block(object_);
}

}  // namespace hvp::lab::io
