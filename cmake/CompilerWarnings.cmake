# svc_set_warnings(<target>): the warnings that every source of this project compiles with.
function(svc_set_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor)
  if(SVC_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  # g++ 12 at -O2, in coroutines (http_client.cpp, http_api.cpp): it inlines the operator delete of Asio's coroutine frames
  # and not their operator new. The pair is right; clang and the sanitizers agree.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-mismatched-new-delete)
    # And g++ 12 sees overruns in std::string that are not there (GCC bug 105651), more of them through precompiled headers.
    # Real ones are found by AddressSanitizer.
    target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow
      -Wno-stringop-overread)
  endif()
endfunction()
