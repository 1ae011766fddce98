/** Thrown by a figure when this machine cannot give the number: the figure is reported as not met. */
export class NotHere extends Error {
  override readonly name = 'NotHere';
}
