# Tests that are not a folder's own test program. Black-box tests run the release binary build/bin/maestro.
if(MC_TESTS)
  add_test(NAME tidy COMMAND ${CMAKE_SOURCE_DIR}/scripts/tidy)
endif()
