# SVC_SANITIZE and SVC_FUZZ as compile and link flags, for every target alike.
if(SVC_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "SVC_FUZZ needs clang (libFuzzer); use `cmake --preset fuzz`.")
  endif()
  if(SVC_SANITIZE STREQUAL "")
    set(SVC_SANITIZE "address+undefined")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(SVC_SANITIZE STREQUAL "address+undefined")
  # Without `function`: clang 14 cannot place its type record before a coroutine that it has split
  # ("Cannot represent a difference across sections").
  set(svc_sanitizer_flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND svc_sanitizer_flags -fno-sanitize=function)
  endif()
elseif(SVC_SANITIZE STREQUAL "thread")
  set(svc_sanitizer_flags -fsanitize=thread -fno-omit-frame-pointer)
elseif(SVC_SANITIZE STREQUAL "")
  set(svc_sanitizer_flags "")
else()
  message(FATAL_ERROR "SVC_SANITIZE must be empty, 'address+undefined' or 'thread', got '${SVC_SANITIZE}'.")
endif()
if(svc_sanitizer_flags)
  add_compile_options(${svc_sanitizer_flags})
  add_link_options(${svc_sanitizer_flags})
endif()

# What each test runs with. The values are for clang's run-time libraries and harmless without them.
set(SVC_SANITIZER_ENVIRONMENT
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
  "INFINILM_SANITIZER=${SVC_SANITIZE}")
