# Makes a .cc with every migration of one adapter as text. Adds it to `target`.
function(mc_embed_migrations target folder function_name header)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/[0-9]*.sql)
  list(FILTER files EXCLUDE REGEX "\\.down\\.sql$")
  list(SORT files)
  set(entries "")
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    string(REGEX MATCH "^([0-9]+)_(.+)$" matched ${stem})
    math(EXPR version "${CMAKE_MATCH_1}")
    set(name ${CMAKE_MATCH_2})
    string(REGEX REPLACE "\\.sql$" ".down.sql" down_file ${file})
    file(READ ${file} up)
    set(down "")
    if(EXISTS ${down_file})
      file(READ ${down_file} down)
    endif()
    # The first has no builds before it.
    set(oldest 0)
    if(version GREATER 1)
      string(REGEX MATCH "\n-- Oldest schema: ([0-9]+)\n" matched "\n${up}")
      set(oldest "${CMAKE_MATCH_1}")
      if(NOT matched OR oldest LESS 1 OR oldest GREATER version)
        message(FATAL_ERROR "${file}: a line `-- Oldest schema: N` is wanted; N, 1 to ${version}: "
                            "the oldest version whose builds can work on the result")
      endif()
    endif()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file} ${down_file})
    string(APPEND entries
      "    {${version}, \"${name}\", R\"sql(${up})sql\", R\"sql(${down})sql\", ${oldest}},\n")
  endforeach()
  set(made ${CMAKE_CURRENT_BINARY_DIR}/${function_name}.cc)
  file(CONFIGURE OUTPUT ${made} @ONLY CONTENT
"// Made by db/migrations/embed.cmake.
#include \"${header}\"

namespace mc::db {
std::span<const Migration> ${function_name}() {
  static constexpr Migration kAll[] = {
${entries}  };
  return kAll;
}
}  // namespace mc::db
")
  target_sources(${target} PRIVATE ${made})
endfunction()
