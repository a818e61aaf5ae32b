# Flags that make an exploitable bug harder to use. They apply to every target; the sanitizers bring checks of their own,
# and _FORTIFY_SOURCE hides overflows from ASan, so it is left out there.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported(LANGUAGES CXX)

add_compile_options(-fstack-protector-strong)
check_cxx_compiler_flag(-fcf-protection SVC_HAVE_CF_PROTECTION)
if(SVC_HAVE_CF_PROTECTION)
  add_compile_options(-fcf-protection)
endif()
check_cxx_compiler_flag(-fstack-clash-protection SVC_HAVE_STACK_CLASH_PROTECTION)
if(SVC_HAVE_STACK_CLASH_PROTECTION)
  add_compile_options(-fstack-clash-protection)
endif()

if(SVC_SANITIZE STREQUAL "" AND NOT SVC_FUZZ)
  # Undefined first: some distributions' compilers define it themselves.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
# libstdc++'s own checks (index, empty optional, iterator order) in every build that is not for production.
add_compile_definitions($<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)

add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
