# The Debian package, by `cpack` in a build tree: scripts/package.sh does all of it. What add_svc_daemon() installs goes
# into it, so the tools of bench/ never do; the test is tests/system/test_package.py.

# Manual pages: written by hand but for their options, which are those that the binary itself prints.
set(svc_man_pages "")
foreach(page infinilm-registry.8 infinilm-router.8 infinilm-agent.8 infinilm-ctl.1)
  string(REGEX REPLACE "\\.[0-9]$" "" binary ${page})
  string(REGEX REPLACE "^.*\\." "" chapter ${page})
  if(NOT TARGET ${binary})
    continue()
  endif()
  set(output ${CMAKE_BINARY_DIR}/man/${page})
  add_custom_command(OUTPUT ${output} ${output}.gz
    COMMAND ${CMAKE_COMMAND} -E env ${SVC_SANITIZER_ENVIRONMENT} ${SVC_PYTHON} -B ${CMAKE_SOURCE_DIR}/scripts/make_man.py
      $<TARGET_FILE:${binary}> ${CMAKE_SOURCE_DIR}/packaging/man/${page}.in ${output}
    DEPENDS ${binary} ${CMAKE_SOURCE_DIR}/scripts/make_man.py ${CMAKE_SOURCE_DIR}/packaging/man/${page}.in
    COMMENT "Manual page ${page}" VERBATIM)
  list(APPEND svc_man_pages ${output}.gz)
  install(FILES ${output}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${chapter})
endforeach()
if(SVC_SANITIZE STREQUAL "")
  add_custom_target(man_pages ALL DEPENDS ${svc_man_pages})
else()
  add_custom_target(man_pages DEPENDS ${svc_man_pages})
endif()
# Everything that the package is made of.
add_custom_target(package_files DEPENDS daemons man_pages)

# In the package everything but the configuration is below /usr; /etc is where CPack puts it.
set(svc_share ${CMAKE_INSTALL_DATADIR}/infinilm)
set(svc_doc ${CMAKE_INSTALL_DATADIR}/doc/infinilm-services)
file(GLOB svc_units CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/systemd/*.service)
install(FILES ${svc_units} DESTINATION lib/systemd/system)
install(PROGRAMS packaging/prepare_host.sh DESTINATION ${svc_share})
# Those that run what is installed; the others are for the source.
foreach(script start_service_instance.sh deploy_services.sh)
  if(EXISTS ${CMAKE_SOURCE_DIR}/scripts/${script})
    install(PROGRAMS scripts/${script} DESTINATION ${svc_share}/scripts)
  endif()
endforeach()
install(FILES scripts/common.sh DESTINATION ${svc_share}/scripts)
install(DIRECTORY deployment_configs DESTINATION ${svc_share} FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
install(FILES README.md DESTINATION ${svc_doc})
install(DIRECTORY docs DESTINATION ${svc_doc} FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
install(FILES packaging/debian/copyright DESTINATION ${svc_doc})
install(FILES packaging/etc/registry_config.json packaging/etc/router_config.json DESTINATION /etc/infinilm)
install(DIRECTORY DESTINATION /etc/infinilm/agents)

# Debian wants its own changelog beside the project's, both compressed.
execute_process(COMMAND git log -1 --format=%aD WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE svc_date
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT svc_date)
  string(TIMESTAMP svc_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
endif()
set(CPACK_PACKAGE_CONTACT "InfiniLM Services <infinilm-services@localhost>" CACHE STRING "Maintainer of the package")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/packaging/changelog.Debian CONTENT
"infinilm-services (${PROJECT_VERSION}-1) unstable; urgency=medium

  * What is new is in changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${svc_date}
")
configure_file(CHANGELOG.md ${CMAKE_BINARY_DIR}/packaging/changelog COPYONLY)
foreach(changelog changelog changelog.Debian)
  set(output ${CMAKE_BINARY_DIR}/packaging/${changelog})
  execute_process(COMMAND gzip -9nc ${output} OUTPUT_FILE ${output}.gz COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${output}.gz DESTINATION ${svc_doc})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME infinilm-services)
set(CPACK_PACKAGE_VENDOR "InfiniLM Services")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
  WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "bash (>= 5), passwd")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, systemd")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "nginx | haproxy")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "many LLM inference engines on many servers as one service")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "A registry of who serves which model, a router that gives clients one
OpenAI-style address and hides failures, an agent that starts, watches and
restarts the engines of a server, and a tool to look after them.
.
None of the systemd units is started: enable those that the machine is meant
to run.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/packaging/debian/postinst
  ${CMAKE_SOURCE_DIR}/packaging/debian/prerm
  ${CMAKE_SOURCE_DIR}/packaging/debian/postrm
  ${CMAKE_SOURCE_DIR}/packaging/debian/conffiles)
include(CPack)
