# Tests that are not a folder's own test program.
if(MC_TESTS)
  add_test(NAME tidy COMMAND ${CMAKE_SOURCE_DIR}/scripts/tidy)
  add_test(NAME format COMMAND make -C ${CMAKE_SOURCE_DIR} --no-print-directory format-check)
  add_test(NAME tidy_bites COMMAND ${CMAKE_SOURCE_DIR}/scripts/tidy-test)
  # Instructions of a fixed piece of work, in the release build, against the count that is kept.
  add_test(NAME instructions COMMAND ${CMAKE_SOURCE_DIR}/scripts/instructions)
  set_tests_properties(instructions PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)

  add_test(NAME mutants_fit COMMAND ${CMAKE_SOURCE_DIR}/scripts/mutants --check)
  # Fresh seeds, under the release build: a violation prints the command that replays it.
  add_test(NAME simulate COMMAND ${CMAKE_SOURCE_DIR}/scripts/simulate 120)
  set_tests_properties(simulate PROPERTIES TIMEOUT 300 ENVIRONMENT "JOBS=1" COST 1000)

  # Black box: each executable server/tests/blackbox/*_test.{sh,py} runs against this build's program,
  # MAESTRO_BIN, in a folder of its own; what a sanitizer makes too slow runs against the release one,
  # MAESTRO_RELEASE_BIN, when there is one. Exit 0 passed, 77 skipped, else failed.
  file(GLOB blackbox_tests CONFIGURE_DEPENDS
       ${CMAKE_CURRENT_SOURCE_DIR}/tests/blackbox/*_test.sh
       ${CMAKE_CURRENT_SOURCE_DIR}/tests/blackbox/*_test.py)
  foreach(script ${blackbox_tests})
    get_filename_component(stem ${script} NAME_WE)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/blackbox/${stem})
    file(MAKE_DIRECTORY ${folder})
    add_test(NAME blackbox/${stem} COMMAND ${script} WORKING_DIRECTORY ${folder})
    set_tests_properties(blackbox/${stem} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77
      ENVIRONMENT "MAESTRO_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/maestro;MAESTRO_RELEASE_BIN=${CMAKE_SOURCE_DIR}/build/bin/maestro")
  endforeach()
  set_tests_properties(blackbox/campaign_test PROPERTIES TIMEOUT 900 COST 900)
  # Updates from the program that scripts/build-previous makes; skipped without it.
  set_tests_properties(blackbox/upgrade_test PROPERTIES TIMEOUT 600 COST 200 PROCESSORS 2)
  # Three servers, a database and workers each: what they promise within seconds, they promise of a machine that is theirs.
  foreach(stem cluster_test cluster_database_test cluster_script_test shards_test)
    set_tests_properties(blackbox/${stem} PROPERTIES TIMEOUT 600 PROCESSORS 2)
  endforeach()

  # One suite for every store.
  file(GLOB contract_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/contract/*.cc)
  if(contract_tests)
    add_executable(test_contract ${contract_tests} ${SRC}/bin/lease_keeper.cc
                   ${SRC}/bin/lease_keeper_test.cc)
    target_include_directories(test_contract PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(test_contract PRIVATE mc_db_memory mc_db_sqlite mc_db_postgres
                          mc_db_faulty mc_testing)
    gtest_discover_tests(test_contract TEST_PREFIX "contract/" DISCOVERY_TIMEOUT 60
                         TEST_FILTER -*/postgres:Postgres* PROPERTIES TIMEOUT 300)
    # All that need PostgreSQL, in one process: they share one server.
    add_test(NAME contract/postgres COMMAND test_contract --gtest_filter=*/postgres:Postgres*)
    set_tests_properties(contract/postgres PROPERTIES TIMEOUT 600 COST 300)
  endif()
endif()
