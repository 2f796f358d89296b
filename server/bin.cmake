# The programs. `maestroctl` is the same program under a name that nobody else uses.
file(GLOB bin_sources CONFIGURE_DEPENDS ${SRC}/bin/*.cc)
list(FILTER bin_sources EXCLUDE REGEX "_test\\.cc$")
if(bin_sources)
  if(MC_FAULTS)
    mc_fault_points(${bin_sources})
  endif()
  add_executable(maestro ${bin_sources})
  target_include_directories(maestro PRIVATE ${SRC})
  target_link_libraries(maestro PRIVATE mc_bench mc_cli mc_cluster mc_worker mc_blob_s3 mc_redis mc_api mc_db_sqlite mc_db_postgres mc_db_memory mc_config)
  add_custom_command(TARGET maestro POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E create_symlink maestro ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/maestroctl)
endif()

# The simulator: not part of `maestro`, and not shipped.
add_executable(maestro-sim ${SRC}/sim/main.cc)
target_link_libraries(maestro-sim PRIVATE mc_sim)
