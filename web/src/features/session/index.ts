export { EngineUnreachable, NotSignedIn, SignIn } from './SignIn'
