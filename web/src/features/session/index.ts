export { EngineUnreachable, NotSignedIn, SignIn } from './SignIn'
export { useSignOutMutation } from './sessionApi'
