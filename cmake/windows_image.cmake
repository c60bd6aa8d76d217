# How images for 64-bit Windows are built on Linux: the stages' drivers, the test drivers and the
# lab's kernel. clang compiles for x86_64-w64-windows-gnu against mingw-w64's DDK headers; lld-link
# links a PE image with a PDB.

find_program(HVP_LLD_LINK NAMES lld-link-19 REQUIRED)
find_program(HVP_DLLTOOL NAMES llvm-dlltool-19 REQUIRED)
find_program(HVP_AR NAMES llvm-ar-19 REQUIRED)
set(HVP_DDK_INCLUDE /usr/share/mingw-w64/include/ddk)

# Freestanding: no exceptions, no RTTI, no SSE (the VMM must not change registers that it does not
# save), no red zone. -funwind-tables: Windows walks the stack by .pdata, in C++ code too.
set(hvp_windows_compile_options
    --target=x86_64-w64-windows-gnu -Os -ffreestanding -fms-extensions -funwind-tables
    -ffunction-sections -mno-red-zone -mno-mmx -mno-sse -mno-stack-arg-probe -fno-stack-protector
    -g -gcodeview -gno-codeview-command-line
    "$<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti;-fno-threadsafe-statics>"
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")

# The standard library's headers that freestanding code includes. Compiled once for all: they take longer
# than the sources, whose code stays the same to the byte. (Sources of one folder compiled together would be
# a little faster still, but the kernel's code would move, and with it each instruction count of a story.)
set(hvp_freestanding_headers <algorithm> <array> <bit> <concepts> <expected> <optional> <ranges> <span>
    <string_view> <utility>)

# hvp_windows_headers(NAME [option...]): a target that others reuse these headers from.
function(hvp_windows_headers name)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "")
    hvp_windows_objects(${name} ${source})
    target_compile_options(${name} PRIVATE ${ARGN})
    target_precompile_headers(${name} PRIVATE ${hvp_freestanding_headers})
endfunction()

# hvp_windows_objects(NAME source...): objects of a Windows image. Use with hvp_driver, hvp_kernel.
function(hvp_windows_objects name)
    add_library(${name} OBJECT ${ARGN})
    target_compile_options(${name} PRIVATE
        ${hvp_windows_compile_options} ${hvp_relocatable_paths}
        "$<$<COMPILE_LANGUAGE:CXX>:${hvp_warnings}>")
    # Microsoft's extensions are used on purpose, by the DDK's headers and in __try.
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-Wno-language-extension-token>")
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    # For the DDK; and defined everywhere, as the precompiled headers are used with it and without.
    target_compile_definitions(${name} PRIVATE NTDDI_VERSION=0x0A000000 _WIN32_WINNT=0x0A00)
endfunction()

# hvp_windows_archive(NAME): bin/NAME.lib from the objects NAME; an image gets only those that it needs.
# (lld-link's /start-lib would do the same without a file, but version 19 then leaves calls to
# address 0 in the image, without an error.)
function(hvp_windows_archive name)
    set(output ${CMAKE_BINARY_DIR}/bin/${name}.lib)
    add_custom_command(
        OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -E rm -f ${output}
        COMMAND ${HVP_AR} rcsD ${output} $<TARGET_OBJECTS:${name}>
        DEPENDS $<TARGET_OBJECTS:${name}>
        COMMAND_EXPAND_LISTS VERBATIM
        COMMENT "Archiving ${name}")
    add_custom_target(${name}_archive DEPENDS ${output})
endfunction()

# Links object libraries into an image; of LIBRARIES only the files that are needed. /Brepro: the time
# stamp is a hash of the content. MSVC: objects like those of Microsoft's compiler.
function(hvp_link_windows_image output options)
    cmake_parse_arguments(PARSE_ARGV 2 arg "MSVC" "" "OBJECTS;LIBRARIES;DEPENDS")
    set(flavour /lldmingw /merge:.pdata=.rdata)
    if(arg_MSVC)
        set(flavour)
    endif()
    cmake_path(GET output STEM LAST_ONLY stem)
    cmake_path(GET output PARENT_PATH folder)
    list(TRANSFORM arg_OBJECTS REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE files)
    list(TRANSFORM arg_LIBRARIES REPLACE "(.+)" "${CMAKE_BINARY_DIR}/bin/\\1.lib" OUTPUT_VARIABLE library_files)
    add_custom_command(
        OUTPUT ${output} ${folder}/${stem}.pdb
        COMMAND ${PROJECT_SOURCE_DIR}/cmake/link-windows-image ${PROJECT_BINARY_DIR}
                ${HVP_LLD_LINK} /nologo /subsystem:native /machine:x64 /nodefaultlib ${flavour} /Brepro /release
                /debug /pdbaltpath:${stem}.pdb /pdbsourcepath:. /merge:.buildid=.rdata /opt:ref /opt:icf /dynamicbase
                /nxcompat /highentropyva ${options}
                /out:${output} /pdb:${folder}/${stem}.pdb ${files}
                ${library_files}
        DEPENDS ${files} ${library_files} ${arg_DEPENDS} ${PROJECT_SOURCE_DIR}/cmake/link-windows-image
        COMMAND_EXPAND_LISTS VERBATIM
        COMMENT "Linking ${stem}")
endfunction()

# hvp_driver_objects(NAME source...): objects that may use Windows' DDK.
function(hvp_driver_objects name)
    hvp_windows_objects(${name} ${ARGN})
    target_precompile_headers(${name} REUSE_FROM windows_headers)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/platform/windows/ddk)
    target_include_directories(${name} SYSTEM PRIVATE ${HVP_DDK_INCLUDE})
endfunction()

# hvp_driver(NAME source...): bin/drivers/NAME.sys and NAME.pdb, a driver with DriverEntry.
function(hvp_driver name)
    hvp_driver_objects(${name}_objects ${ARGN})
    set(output ${CMAKE_BINARY_DIR}/bin/drivers/${name}.sys)
    hvp_link_windows_image(${output}
        "/driver;/entry:DriverEntry;${PROJECT_BINARY_DIR}/bin/ntoskrnl.lib"
        OBJECTS ${name}_objects
        LIBRARIES platform_windows hypervisor_windows
        DEPENDS ${PROJECT_BINARY_DIR}/bin/ntoskrnl.lib)
    add_custom_target(${name}_driver ALL DEPENDS ${output})
    add_dependencies(${name}_driver ntoskrnl_import_library platform_windows_archive
        hypervisor_windows_archive)
endfunction()

# hvp_kernel(NAME source...): bin/NAME.exe and NAME.pdb, the lab's kernel, linked to the high
# address where the reset ROM maps it.
function(hvp_kernel name)
    hvp_windows_objects(${name}_objects ${ARGN})
    hvp_windows_headers(${name}_headers -O2)
    target_precompile_headers(${name}_objects REUSE_FROM ${name}_headers)
    target_compile_options(${name}_objects PRIVATE -O2)  # its instructions are the machine's time
    set(output ${CMAKE_BINARY_DIR}/bin/${name}.exe)
    hvp_link_windows_image(${output}
        "/base:0xFFFFF80000000000;/entry:kernel_entry;/fixed:no"
        OBJECTS ${name}_objects)
    add_custom_target(${name}_kernel ALL DEPENDS ${output})
endfunction()
