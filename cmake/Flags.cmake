# One place for compiler flags: the same warnings everywhere, all of them errors.
add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wold-style-cast -Wimplicit-fallthrough -Werror=switch -Werror
  -pthread -fno-omit-frame-pointer -fstack-protector-strong -fcf-protection -fPIE)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # A precompiled header is found by its contents, so that ccache can share it between folders.
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp" -Wno-missing-designated-field-initializers
                      -Wno-missing-field-initializers)
endif()
# Debug information without this machine's folder names: ccache hits across clones.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
add_link_options(-fuse-ld=lld -pie LINKER:-z,relro,-z,now)
if(MC_SANITIZE)
  add_compile_options(-fsanitize=${MC_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MC_SANITIZE})
  add_compile_definitions(MC_SANITIZED=1)
endif()
if(MC_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(MC_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate -fcoverage-mapping)
endif()
find_program(MC_CCACHE ccache)
if(MC_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${MC_CCACHE})
endif()
