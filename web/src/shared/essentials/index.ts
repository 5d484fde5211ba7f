export {
  CurrentTaskEssential,
  HealthEssential,
  NeedsYouMark,
  ProgressEssential,
  RemainingEssential,
  Since,
  StatusEssential,
} from './Essentials'
export { countText, healthText, idleText, remainingText } from './essentials'
