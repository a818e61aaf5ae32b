# add_svc_daemon(<name> <main.cpp> [SYSTEM_MALLOC] DEPENDS <target>...): an installed binary. Does nothing while main.cpp is
# missing. SYSTEM_MALLOC: without jemalloc, for a daemon of which there are many and which allocates little.
function(add_svc_daemon name main)
  cmake_parse_arguments(PARSE_ARGV 2 arg "SYSTEM_MALLOC" "" "DEPENDS")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${main})
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  svc_set_warnings(${name})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS})
  # First among the libraries, so that its malloc wins over the C library's. Its own package flags are not used:
  # nothing of ours includes its header.
  if(SVC_JEMALLOC AND NOT arg_SYSTEM_MALLOC AND JEMALLOC_FOUND AND SVC_SANITIZE STREQUAL "" AND NOT SVC_FUZZ)
    target_link_libraries(${name} PRIVATE -Wl,--push-state,--no-as-needed ${JEMALLOC_LINK_LIBRARIES} -Wl,--pop-state)
  endif()
  add_dependencies(daemons ${name})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
