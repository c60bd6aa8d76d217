# The pure parts of the lab's kernel, on the host.
set(lab_nt ${PROJECT_SOURCE_DIR}/lab/nt)
# The tool uses these, too.
add_library(pe_checked OBJECT
    ${lab_nt}/ldr/pe.cpp ${lab_nt}/ldr/pe_tables.cpp ${lab_nt}/hosted/mapped_image.cpp)
add_library(lab_nt_checked OBJECT
    ${lab_nt}/dbg/json_line.cpp ${lab_nt}/etw/decoder.cpp ${lab_nt}/etw/metadata.cpp
    ${lab_nt}/etw/value.cpp ${lab_nt}/mm/frame_map.cpp ${lab_nt}/rtl/epilogue.cpp
    ${lab_nt}/rtl/format.cpp ${lab_nt}/rtl/scope_table.cpp ${lab_nt}/rtl/unwind.cpp)
foreach(part IN ITEMS pe_checked lab_nt_checked)
    hvp_checked(${part})
    hvp_fuzzed(${part})
endforeach()
hvp_test(lab_nt_tests
    unit/lab_nt/pe_image.cpp
    unit/lab_nt/pe_test.cpp
    unit/lab_nt/pe_tables_test.cpp
    unit/lab_nt/real_images_test.cpp
    unit/lab_nt/format_test.cpp
    unit/lab_nt/json_line_test.cpp
    unit/lab_nt/epilogue_test.cpp
    unit/lab_nt/unwind_test.cpp
    unit/lab_nt/scope_table_test.cpp
    unit/lab_nt/frame_map_test.cpp
    LIBS pe_checked lab_nt_checked)
set_property(SOURCE unit/lab_nt/real_images_test.cpp PROPERTY COMPILE_DEFINITIONS
    HVP_KERNEL="${CMAKE_BINARY_DIR}/bin/ntoskrnl.exe"
    HVP_DRIVER="${CMAKE_BINARY_DIR}/bin/drivers/misbehave.sys")
set_property(SOURCE unit/lab_nt/real_images_test.cpp PROPERTY SKIP_PRECOMPILE_HEADERS ON)
add_dependencies(lab_nt_tests ntoskrnl_kernel misbehave_driver)

# The unwinder on each of our images that is linked before.
hvp_test(lab_nt_unwind_tests
    unit/lab_nt/unwind_images_test.cpp
    unit/lab_nt/unwind_traps_test.cpp
    unit/lab_nt/function_walk.cpp
    LIBS pe_checked lab_nt_checked Zydis fmt::fmt)
list(JOIN HVP_STAGES " " stages)
set_property(SOURCE unit/lab_nt/unwind_images_test.cpp unit/lab_nt/unwind_traps_test.cpp
    PROPERTY COMPILE_DEFINITIONS
    HVP_IMAGES="${CMAKE_BINARY_DIR}/bin" HVP_STAGES="${stages}")
set_property(SOURCE unit/lab_nt/unwind_images_test.cpp unit/lab_nt/unwind_traps_test.cpp
    PROPERTY SKIP_PRECOMPILE_HEADERS ON)
add_dependencies(lab_nt_unwind_tests ntoskrnl_kernel contract_frames_driver contract_seh_driver
    contract_unwind_driver misbehave_driver msvc_image_driver)
foreach(stage IN LISTS HVP_STAGES)
    add_dependencies(lab_nt_unwind_tests ${stage}_driver)
endforeach()
