# svc_set_warnings(<target>): the warnings that every source of this project compiles with.
function(svc_set_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor)
  if(SVC_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  # g++ 12 reports these in library code that it inlined into ours (std::string, std::optional, Asio's coroutine
  # frames), even though the code is right. They stay visible as warnings; clang and the sanitizers cover the cases.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE
      -Wno-error=maybe-uninitialized -Wno-error=restrict -Wno-error=stringop-overflow -Wno-error=array-bounds
      -Wno-error=free-nonheap-object -Wno-error=dangling-pointer -Wno-error=stringop-overread
      -Wno-mismatched-new-delete)  # Asio's coroutine frames: operator delete inlined, operator new not
  endif()
endfunction()
