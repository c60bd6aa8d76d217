# What must hold of the sources as a whole.
hvp_test(repository_tests
    repository/chapters_test.cpp repository/citations_test.cpp repository/layers_test.cpp
    repository/links_test.cpp
    repository/sources.cpp ${PROJECT_SOURCE_DIR}/tool/story/story_match.cpp LIBS fmt::fmt UNCHECKED)
set_property(SOURCE repository/sources.cpp PROPERTY COMPILE_DEFINITIONS
    HVP_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

add_test(NAME sources.are_formatted
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/repository/check-format ${PROJECT_SOURCE_DIR})
add_test(NAME layers.compile_alone
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/repository/check-layers
            ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
add_test(NAME trace.guids_follow_from_the_names
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/repository/check-provider-guids ${PROJECT_SOURCE_DIR})
# tests/repository/check-tidy SOURCE BUILD takes as long as all tests together: it is run by hand.
add_test(NAME launch.is_built_the_same_elsewhere
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/repository/check-reproducible
            ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
